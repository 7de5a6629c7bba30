#include "bytes.h"

#include "target.h"

static bool take(struct bytes *bytes, void *into, unsigned size) {
  if (bytes->failed || bytes->end < bytes->at || bytes->end - bytes->at < size ||
      !target_read(bytes->at, into, size)) {
    bytes->failed = true;
    return false;
  }
  bytes->at += size;
  return true;
}

uint64_t bytes_unsigned(struct bytes *bytes, unsigned size) {
  uint64_t value = 0; /* little-endian on both machines */
  return take(bytes, &value, size) ? value : 0;
}

int64_t bytes_signed(struct bytes *bytes, unsigned size) {
  const uint64_t value = bytes_unsigned(bytes, size);
  const uint64_t sign = UINT64_C(1) << (size * 8 - 1);
  return (int64_t)((value ^ sign) - sign);
}

static uint64_t leb(struct bytes *bytes, bool is_signed) {
  uint64_t value = 0;
  unsigned shift = 0;
  uint64_t byte;
  do {
    byte = bytes_unsigned(bytes, 1);
    if (shift < 64) {
      value |= (byte & 0x7f) << shift;
    }
    shift += 7;
  } while ((byte & 0x80) != 0 && shift < 128);
  if (is_signed && shift < 64 && (byte & 0x40) != 0) {
    value |= ~UINT64_C(0) << shift;
  }
  return value;
}

uint64_t bytes_uleb(struct bytes *bytes) {
  return leb(bytes, false);
}

int64_t bytes_sleb(struct bytes *bytes) {
  return (int64_t)leb(bytes, true);
}

void bytes_skip(struct bytes *bytes, uint64_t count) {
  if (bytes->failed || bytes->end < bytes->at || bytes->end - bytes->at < count) {
    bytes->failed = true;
  } else {
    bytes->at += count;
  }
}

uint64_t bytes_pointer(struct bytes *bytes, uint8_t encoding, uint64_t data) {
  enum { OMITTED = 0xff, RELATIVE_TO_ITSELF = 0x10, RELATIVE_TO_DATA = 0x30, INDIRECT = 0x80 };
  if (encoding == OMITTED) {
    return 0;
  }
  const uint64_t itself = bytes->at;
  uint64_t value;
  switch (encoding & 0x0f) {
    case 0x00: /* absptr */
    case 0x04:
    case 0x0c:
      value = bytes_unsigned(bytes, 8);
      break;
    case 0x01:
      value = bytes_uleb(bytes);
      break;
    case 0x02:
      value = bytes_unsigned(bytes, 2);
      break;
    case 0x03:
      value = bytes_unsigned(bytes, 4);
      break;
    case 0x09:
      value = (uint64_t)bytes_sleb(bytes);
      break;
    case 0x0a:
      value = (uint64_t)bytes_signed(bytes, 2);
      break;
    case 0x0b:
      value = (uint64_t)bytes_signed(bytes, 4);
      break;
    default:
      bytes->failed = true;
      return 0;
  }
  switch (encoding & 0x70) {
    case 0:
      break;
    case RELATIVE_TO_ITSELF:
      value += itself;
      break;
    case RELATIVE_TO_DATA:
      value += data;
      break;
    default:
      bytes->failed = true;
      return 0;
  }
  if ((encoding & INDIRECT) != 0 && !target_read(value, &value, sizeof(value))) {
    bytes->failed = true;
  }
  return value;
}
