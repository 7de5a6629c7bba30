#include "protobuf.h"

#include <string.h>

enum { VARINT = 0, FIXED_64 = 1, LENGTH_DELIMITED = 2, FIXED_32 = 5 };
enum { MAX_VARINT_BYTES = 10 };
static const uint64_t max_field_number = (UINT64_C(1) << 29) - 1;

void sandwire_protobuf_reader_init(struct sandwire_protobuf_reader *reader, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  *reader = (struct sandwire_protobuf_reader){.at = at, .end = size ? at + size : at, .malformed = false};
}

static bool take_varint(struct sandwire_protobuf_reader *reader, uint64_t *value) {
  *value = 0;
  for (unsigned byte_index = 0; byte_index < MAX_VARINT_BYTES; byte_index++) {
    if (reader->at == reader->end) {
      return false;
    }
    uint8_t byte = *reader->at++;
    if (byte_index == MAX_VARINT_BYTES - 1 && byte > 1) {
      return false; /* more than 64 bits */
    }
    *value |= (uint64_t)(byte & 0x7f) << (7 * byte_index);
    if (!(byte & 0x80)) {
      return true;
    }
  }
  return false;
}

static bool take_fixed(struct sandwire_protobuf_reader *reader, size_t size, uint64_t *value) {
  if ((size_t)(reader->end - reader->at) < size) {
    return false;
  }
  *value = 0;
  for (size_t i = 0; i < size; i++) {
    *value |= (uint64_t)reader->at[i] << (8 * i);
  }
  reader->at += size;
  return true;
}

static bool take_field(struct sandwire_protobuf_reader *reader, struct sandwire_protobuf_field *field) {
  uint64_t key;
  if (!take_varint(reader, &key) || key >> 3 == 0 || key >> 3 > max_field_number) {
    return false;
  }
  *field = (struct sandwire_protobuf_field){.number = (uint32_t)(key >> 3), .wire_type = (uint32_t)(key & 7)};
  switch (field->wire_type) {
    case VARINT:
      return take_varint(reader, &field->value);
    case FIXED_64:
      return take_fixed(reader, 8, &field->value);
    case FIXED_32:
      return take_fixed(reader, 4, &field->value);
    case LENGTH_DELIMITED: {
      uint64_t size;
      if (!take_varint(reader, &size) || size > (uint64_t)(reader->end - reader->at)) {
        return false;
      }
      field->bytes = reader->at;
      field->size = (size_t)size;
      reader->at += size;
      return true;
    }
    default:
      return false; /* groups: no message of sandwire's or of sandbox2's */
  }
}

bool sandwire_protobuf_next(struct sandwire_protobuf_reader *reader, struct sandwire_protobuf_field *field) {
  if (reader->malformed || reader->at == reader->end) {
    return false;
  }
  if (!take_field(reader, field)) {
    reader->malformed = true;
    return false;
  }
  return true;
}

void sandwire_protobuf_writer_init(struct sandwire_protobuf_writer *writer, void *buffer, size_t capacity) {
  *writer = (struct sandwire_protobuf_writer){.buffer = buffer, .capacity = capacity};
}

static size_t encode_varint(uint8_t *bytes, uint64_t value) {
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = (uint8_t)value;
  return size;
}

/* A field is written entirely or not at all, so that the buffer's contents always parse. */
static void put(struct sandwire_protobuf_writer *writer, const uint8_t *head, size_t head_size,
                const void *bytes, size_t size) {
  size_t room = writer->capacity - writer->size;
  if (writer->overflow || head_size > room || size > room - head_size) {
    writer->overflow = true;
    return;
  }
  memcpy(writer->buffer + writer->size, head, head_size);
  if (size > 0) {
    memcpy(writer->buffer + writer->size + head_size, bytes, size);
  }
  writer->size += head_size + size;
}

void sandwire_protobuf_put_varint(struct sandwire_protobuf_writer *writer, uint32_t field, uint64_t value) {
  uint8_t head[2 * MAX_VARINT_BYTES];
  size_t size = encode_varint(head, (uint64_t)field << 3 | VARINT);
  size += encode_varint(head + size, value);
  put(writer, head, size, NULL, 0);
}

void sandwire_protobuf_put_bytes(struct sandwire_protobuf_writer *writer, uint32_t field, const void *bytes,
                                 size_t size) {
  uint8_t head[2 * MAX_VARINT_BYTES];
  size_t head_size = encode_varint(head, (uint64_t)field << 3 | LENGTH_DELIMITED);
  head_size += encode_varint(head + head_size, size);
  put(writer, head, head_size, bytes, size);
}
