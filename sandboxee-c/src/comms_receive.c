#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandwire/comms.h"
#include "transport.h"
#include "wire_lists.generated.h"

enum { FIRST_ALLOCATION = 64 * 1024 }; /* bytes; doubled as a payload arrives */

static const char *name_tag(uint32_t tag, char buffer[16]) {
  const char *name = sandwire_tag_name(tag);
  if (!name) {
    (void)snprintf(buffer, 16, "0x%08x", tag);
    name = buffer;
  }
  return name;
}

/* Waits for the next header; anything but tag stays unread. */
static enum sandwire_error expect(struct sandwire_comms *comms, uint32_t tag, bool ancillary,
                                  size_t *length) {
  uint32_t met = 0;
  enum sandwire_error error = sandwire_transport_await_header(comms, ancillary, &met, length);
  if (error == SANDWIRE_OK && met != tag) {
    char expected_buffer[16], met_buffer[16], detail[64];
    (void)snprintf(detail, sizeof detail, "expected %s, met %s", name_tag(tag, expected_buffer),
                   name_tag(met, met_buffer));
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_TAG_MISMATCH, detail);
  }
  return error;
}

static enum sandwire_error fail_length(struct sandwire_comms *comms, enum sandwire_error error,
                                       size_t expected, size_t met) {
  char detail[80];
  (void)snprintf(detail, sizeof detail, "%s %zu bytes, met %zu",
                 error == SANDWIRE_ERROR_TOO_LARGE ? "the buffer has" : "expected", expected, met);
  return sandwire_transport_fail(comms, error, detail);
}

/* The payload of the next message, of which the header is there, to buffer; length bytes have room in it. */
static enum sandwire_error take_payload(struct sandwire_comms *comms, uint8_t *buffer, size_t length) {
  struct sandwire_reader *reader = &comms->reader;
  if (comms->deadline_ms >= 0 && sandwire_reader_missing(reader) > 0) {
    /* A call that may time out must leave the message whole, so all of it goes through the reader. */
    enum sandwire_error error = sandwire_transport_await_message(comms);
    if (error) {
      return error;
    }
  }
  if (sandwire_reader_missing(reader) == 0) {
    struct sandwire_message message;
    enum sandwire_error error = sandwire_transport_take(comms, &message);
    if (error == SANDWIRE_OK && length > 0) {
      memcpy(buffer, message.payload, length);
    }
    if (error == SANDWIRE_OK && message.fd >= 0) {
      sandwire_reader_discard(reader, message.fd); /* an Fd message received as a mere TLV */
    }
    return error;
  }

  if (sandwire_reader_has_stray_fd(reader)) {
    return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SURPLUS_FD, NULL);
  }
  size_t have = reader->end - reader->start - SANDWIRE_HEADER_SIZE;
  memcpy(buffer, reader->buffer + reader->start + SANDWIRE_HEADER_SIZE, have);
  sandwire_reader_skip(reader, SANDWIRE_HEADER_SIZE + have);
  while (have < length) {
    size_t received;
    enum sandwire_error error =
        sandwire_transport_receive_directly(comms, buffer + have, length - have, &received);
    if (error) {
      return error;
    }
    have += received;
  }
  return SANDWIRE_OK;
}

/* ---- Values of fixed size ---- */

static enum sandwire_error receive_fixed(struct sandwire_comms *comms, const char *operation, uint32_t tag,
                                         void *value, size_t size) {
  sandwire_transport_begin(comms, operation);
  size_t length;
  enum sandwire_error error = expect(comms, tag, false, &length);
  if (error) {
    return error;
  }
  if (length != size) {
    return fail_length(comms, SANDWIRE_ERROR_BAD_LENGTH, size, length);
  }
  struct sandwire_message message;
  error = sandwire_transport_await_message(comms);
  if (error == SANDWIRE_OK && tag == SANDWIRE_TAG_BOOL &&
      comms->reader.buffer[comms->reader.start + SANDWIRE_HEADER_SIZE] > 1) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_INVALID_VALUE, "a Bool is 0 or 1");
  }
  if (error == SANDWIRE_OK) {
    error = sandwire_transport_take(comms, &message);
  }
  if (error == SANDWIRE_OK && size > 0) {
    memcpy(value, message.payload, size);
  }
  return error;
}

#define DEFINE_RECEIVE(name, type, tag, text, is_signed)                                      \
  enum sandwire_error sandwire_comms_recv_##name(struct sandwire_comms *comms, type *value) { \
    return receive_fixed(comms, "recv " text, tag, value, sizeof *value);                     \
  }

SANDWIRE_INTEGERS(DEFINE_RECEIVE)

enum sandwire_error sandwire_comms_recv_bool(struct sandwire_comms *comms, bool *value) {
  uint8_t byte = 0;
  enum sandwire_error error = receive_fixed(comms, "recv Bool", SANDWIRE_TAG_BOOL, &byte, sizeof byte);
  if (error == SANDWIRE_OK) {
    *value = byte == 1;
  }
  return error;
}

enum sandwire_error sandwire_comms_recv_barrier(struct sandwire_comms *comms) {
  return receive_fixed(comms, "recv Barrier", SANDWIRE_TAG_BARRIER, NULL, 0);
}

/* ---- Values of any size ---- */

static enum sandwire_error receive_sized(struct sandwire_comms *comms, const char *operation, uint32_t tag,
                                         void *buffer, size_t capacity, size_t *size, bool with_nul) {
  sandwire_transport_begin(comms, operation);
  size_t length;
  enum sandwire_error error = expect(comms, tag, false, &length);
  if (error) {
    return error;
  }
  size_t needed = length + (with_nul ? 1 : 0);
  if (needed > capacity) {
    if (size) {
      *size = needed;
    }
    return fail_length(comms, SANDWIRE_ERROR_TOO_LARGE, capacity, needed);
  }
  error = take_payload(comms, buffer, length);
  if (error) {
    return error;
  }
  if (with_nul) {
    ((char *)buffer)[length] = '\0';
  }
  if (size) {
    *size = length;
  }
  return SANDWIRE_OK;
}

/* Memory that grows as the payload arrives, with a NUL behind it. The header is there. */
static enum sandwire_error take_payload_alloc(struct sandwire_comms *comms, size_t length,
                                              uint8_t **payload) {
  struct sandwire_reader *reader = &comms->reader;
  if (comms->deadline_ms >= 0) {
    enum sandwire_error error = sandwire_transport_await_message(comms);
    if (error) {
      return error;
    }
  }
  bool is_whole = sandwire_reader_missing(reader) == 0;
  size_t have = is_whole ? length : reader->end - reader->start - SANDWIRE_HEADER_SIZE;
  size_t capacity = have < FIRST_ALLOCATION ? FIRST_ALLOCATION : have;
  capacity = is_whole || capacity > length ? length : capacity;
  uint8_t *buffer = malloc(capacity + 1);
  if (!buffer) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL); /* the message is still unread */
  }
  enum sandwire_error error = SANDWIRE_OK;
  if (is_whole) {
    error = take_payload(comms, buffer, length);
  } else if (sandwire_reader_has_stray_fd(reader)) {
    error = sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SURPLUS_FD, NULL);
  } else {
    memcpy(buffer, reader->buffer + reader->start + SANDWIRE_HEADER_SIZE, have);
    sandwire_reader_skip(reader, SANDWIRE_HEADER_SIZE + have);
    while (error == SANDWIRE_OK && have < length) {
      if (have == capacity) {
        capacity = capacity > length / 2 ? length : capacity * 2;
        uint8_t *larger = realloc(buffer, capacity + 1);
        if (!larger) {
          error = sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SYSTEM, NULL);
          break;
        }
        buffer = larger;
      }
      size_t received = 0;
      error = sandwire_transport_receive_directly(comms, buffer + have, capacity - have, &received);
      have += received;
    }
  }
  if (error) {
    free(buffer);
    return error;
  }
  buffer[length] = 0;
  *payload = buffer;
  return SANDWIRE_OK;
}

static enum sandwire_error receive_alloc(struct sandwire_comms *comms, const char *operation, uint32_t tag,
                                         uint8_t **payload, size_t *size) {
  sandwire_transport_begin(comms, operation);
  size_t length;
  enum sandwire_error error = expect(comms, tag, false, &length);
  if (error == SANDWIRE_OK) {
    error = take_payload_alloc(comms, length, payload);
  }
  if (error == SANDWIRE_OK && size) {
    *size = length;
  }
  return error;
}

enum sandwire_error sandwire_comms_recv_string(struct sandwire_comms *comms, char *buffer, size_t capacity,
                                               size_t *size) {
  return receive_sized(comms, "recv String", SANDWIRE_TAG_STRING, buffer, capacity, size, true);
}

enum sandwire_error sandwire_comms_recv_string_alloc(struct sandwire_comms *comms, char **string,
                                                     size_t *size) {
  uint8_t *payload = NULL;
  enum sandwire_error error = receive_alloc(comms, "recv String", SANDWIRE_TAG_STRING, &payload, size);
  if (error == SANDWIRE_OK) {
    *string = (char *)payload;
  }
  return error;
}

#define DEFINE_RECEIVE_SIZED(name, tag, text)                                                        \
  enum sandwire_error sandwire_comms_recv_##name(struct sandwire_comms *comms, void *buffer,         \
                                                 size_t capacity, size_t *size) {                    \
    return receive_sized(comms, "recv " text, tag, buffer, capacity, size, false);                   \
  }                                                                                                  \
  enum sandwire_error sandwire_comms_recv_##name##_alloc(struct sandwire_comms *comms, void **bytes, \
                                                         size_t *size) {                             \
    uint8_t *payload = NULL;                                                                         \
    enum sandwire_error error = receive_alloc(comms, "recv " text, tag, &payload, size);             \
    if (error == SANDWIRE_OK) {                                                                      \
      *bytes = payload;                                                                              \
    }                                                                                                \
    return error;                                                                                    \
  }

DEFINE_RECEIVE_SIZED(bytes, SANDWIRE_TAG_BYTES, "Bytes")
DEFINE_RECEIVE_SIZED(protobuf, SANDWIRE_TAG_PROTO2, "Proto2")
DEFINE_RECEIVE_SIZED(message_pack, SANDWIRE_TAG_MESSAGE_PACK, "MessagePack")

enum sandwire_error sandwire_comms_recv_tlv(struct sandwire_comms *comms, uint32_t tag, void *buffer,
                                            size_t capacity, size_t *size) {
  return receive_sized(comms, "recv TLV", tag, buffer, capacity, size, false);
}

enum sandwire_error sandwire_comms_recv_tlv_alloc(struct sandwire_comms *comms, uint32_t tag, void **bytes,
                                                  size_t *size) {
  uint8_t *payload = NULL;
  enum sandwire_error error = receive_alloc(comms, "recv TLV", tag, &payload, size);
  if (error == SANDWIRE_OK) {
    *bytes = payload;
  }
  return error;
}

/* ---- What the kernel carries beside the bytes ---- */

static enum sandwire_error expect_empty(struct sandwire_comms *comms, const char *operation, uint32_t tag) {
  sandwire_transport_begin(comms, operation);
  size_t length;
  enum sandwire_error error = expect(comms, tag, true, &length);
  if (error == SANDWIRE_OK && length != 0) {
    return fail_length(comms, SANDWIRE_ERROR_BAD_LENGTH, 0, length);
  }
  return error;
}

enum sandwire_error sandwire_comms_recv_fd(struct sandwire_comms *comms, int *fd) {
  struct sandwire_message message;
  enum sandwire_error error = expect_empty(comms, "recv Fd", SANDWIRE_TAG_FD);
  if (error == SANDWIRE_OK) {
    error = sandwire_transport_take(comms, &message);
  }
  if (error == SANDWIRE_OK) {
    *fd = message.fd;
  }
  return error;
}

/* uid -1: no SO_PASSCRED. pid 0: bytes sent before that was set, which come as pid 0 and the overflow ids, or
 * by a process that this one's pid namespace does not show, whose ids need not be mapped here either. */
static bool are_known(const struct sandwire_credentials *credentials) {
  return credentials->uid != (uid_t)-1 && credentials->pid != 0;
}

enum sandwire_error sandwire_comms_recv_credentials(struct sandwire_comms *comms,
                                                    struct sandwire_credentials *credentials) {
  enum sandwire_error error = expect_empty(comms, "recv Creds", SANDWIRE_TAG_CREDS);
  if (error) {
    return error;
  }
  /* The reader is filled only when it lacks a part of the next message, so its newest chunk, whose writer
   * these credentials name, holds the end of this one. */
  if (!are_known(&comms->reader.credentials)) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_NO_CREDENTIALS, NULL);
  }
  struct sandwire_message message;
  error = sandwire_transport_take(comms, &message);
  if (error == SANDWIRE_OK) {
    *credentials = comms->reader.credentials;
  }
  return error;
}

/* ---- Any message ---- */

enum sandwire_error sandwire_comms_peek_tag(struct sandwire_comms *comms, uint32_t *tag) {
  sandwire_transport_begin(comms, "peek tag");
  size_t length;
  uint32_t met = 0;
  enum sandwire_error error = sandwire_transport_await_header(comms, false, &met, &length);
  if (error == SANDWIRE_OK) {
    *tag = met;
  }
  return error;
}

enum sandwire_error sandwire_comms_recv_any(struct sandwire_comms *comms, struct sandwire_any *any) {
  sandwire_transport_begin(comms, "recv any");
  uint32_t tag = 0;
  size_t length = 0;
  enum sandwire_error error = sandwire_transport_await_header(comms, false, &tag, &length);
  if (error) {
    return error;
  }
  uint8_t *payload = NULL;
  int fd = -1;
  if (length == 0) {
    struct sandwire_message message;
    payload = calloc(1, 1);
    if (!payload) {
      return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
    }
    error = sandwire_transport_take(comms, &message);
    if (error) {
      free(payload);
      return error;
    }
    fd = message.fd;
  } else if (tag == SANDWIRE_TAG_FD || tag == SANDWIRE_TAG_COMMS_UPGRADE) {
    return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_BAD_LENGTH, "an Fd message has no payload");
  } else {
    error = take_payload_alloc(comms, length, &payload);
    if (error) {
      return error;
    }
  }
  *any = (struct sandwire_any){.tag = tag,
                               .payload = payload,
                               .size = length,
                               .fd = fd,
                               .credentials = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1}};
  if (tag == SANDWIRE_TAG_CREDS) {
    any->credentials = comms->reader.credentials;
  }
  return SANDWIRE_OK;
}

void sandwire_any_destroy(struct sandwire_any *message) {
  free(message->payload);
  message->payload = NULL;
  if (message->fd >= 0) {
    (void)close(message->fd);
    message->fd = -1;
  }
}

enum sandwire_error sandwire_comms_exchange(struct sandwire_comms *comms, uint32_t tag, const void *bytes,
                                            size_t size, struct sandwire_any *reply) {
  enum sandwire_error error = sandwire_comms_send_tlv(comms, tag, bytes, size);
  return error ? error : sandwire_comms_recv_any(comms, reply);
}
