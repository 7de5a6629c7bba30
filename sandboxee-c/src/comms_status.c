/* absl::Status on the wire: a Proto2 message whose payloads are a map from type URL to bytes. */
#include <stdlib.h>
#include <string.h>

#include "protobuf.h"
#include "sandwire/comms.h"
#include "transport.h"

enum { MAP_KEY = 1, MAP_VALUE = 2, LENGTH_DELIMITED = 2, VARINT = 0 };
enum { FIELD_OVERHEAD = 2 * 10 }; /* bytes: a key and a length at their longest */

enum sandwire_error sandwire_comms_send_status(struct sandwire_comms *comms,
                                               const struct sandwire_status *status) {
  sandwire_transport_begin(comms, "send Status");
  size_t capacity = 2 * FIELD_OVERHEAD + status->message_size, largest_entry = 0;
  for (size_t i = 0; i < status->payload_count; i++) {
    const struct sandwire_status_payload *payload = &status->payloads[i];
    size_t entry = 2 * FIELD_OVERHEAD + payload->type_url_size + payload->size;
    largest_entry = entry > largest_entry ? entry : largest_entry;
    capacity += FIELD_OVERHEAD + entry;
  }
  uint8_t *buffer = malloc(capacity + largest_entry);
  if (!buffer) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
  }

  struct sandwire_protobuf_writer writer;
  sandwire_protobuf_writer_init(&writer, buffer, capacity);
  if (status->code != 0) { /* proto3 leaves out fields that are zero or empty */
    sandwire_protobuf_put_varint(&writer, SANDWIRE_STATUS_PROTO_CODE, (uint64_t)(int64_t)status->code);
  }
  if (status->message_size > 0) {
    sandwire_protobuf_put_bytes(&writer, SANDWIRE_STATUS_PROTO_MESSAGE, status->message,
                                status->message_size);
  }
  for (size_t i = 0; i < status->payload_count; i++) {
    const struct sandwire_status_payload *payload = &status->payloads[i];
    struct sandwire_protobuf_writer entry;
    sandwire_protobuf_writer_init(&entry, buffer + capacity, largest_entry);
    sandwire_protobuf_put_bytes(&entry, MAP_KEY, payload->type_url, payload->type_url_size);
    sandwire_protobuf_put_bytes(&entry, MAP_VALUE, payload->bytes, payload->size);
    sandwire_protobuf_put_bytes(&writer, SANDWIRE_STATUS_PROTO_PAYLOADS, entry.buffer, entry.size);
  }
  enum sandwire_error error = sandwire_transport_send(comms, SANDWIRE_TAG_PROTO2, buffer, writer.size, -1);
  free(buffer);
  return error;
}

/* Parses one payload from its map entry; absent fields are empty. */
static bool parse_entry(const struct sandwire_protobuf_field *entry,
                        struct sandwire_status_payload *payload) {
  *payload = (struct sandwire_status_payload){.type_url = "", .bytes = ""};
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, entry->bytes, entry->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    if (field.wire_type == LENGTH_DELIMITED && field.number == MAP_KEY) {
      payload->type_url = (const char *)field.bytes;
      payload->type_url_size = field.size;
    } else if (field.wire_type == LENGTH_DELIMITED && field.number == MAP_VALUE) {
      payload->bytes = field.bytes;
      payload->size = field.size;
    }
  }
  return !reader.malformed;
}

/* Fills status, and payloads unless NULL; their pointers refer to bytes. */
static bool parse_status(const uint8_t *bytes, size_t size, struct sandwire_status *status,
                         struct sandwire_status_payload *payloads) {
  *status = (struct sandwire_status){.message = "", .payloads = payloads};
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, size);
  while (sandwire_protobuf_next(&reader, &field)) {
    if (field.number == SANDWIRE_STATUS_PROTO_CODE) {
      if (field.wire_type != VARINT) {
        return false;
      }
      status->code = (int32_t)(uint32_t)field.value;
    } else if (field.number == SANDWIRE_STATUS_PROTO_MESSAGE) {
      if (field.wire_type != LENGTH_DELIMITED) {
        return false;
      }
      status->message = (const char *)field.bytes;
      status->message_size = field.size;
    } else if (field.number == SANDWIRE_STATUS_PROTO_PAYLOADS) {
      struct sandwire_status_payload payload;
      if (field.wire_type != LENGTH_DELIMITED || !parse_entry(&field, &payload)) {
        return false;
      }
      if (payloads) {
        payloads[status->payload_count] = payload;
      }
      status->payload_count++;
    }
  }
  return !reader.malformed;
}

/* Makes one block: the status, its payload list, a copy of the serialized message that they point into, and a
 * copy of the text with its NUL. */
static struct sandwire_status *build_status(const struct sandwire_status *parsed, const uint8_t *bytes,
                                            size_t size) {
  size_t list_size = parsed->payload_count * sizeof(struct sandwire_status_payload);
  char *block = malloc(sizeof(struct sandwire_status) + list_size + size + parsed->message_size + 1);
  if (!block) {
    return NULL;
  }
  struct sandwire_status *status = (struct sandwire_status *)block;
  struct sandwire_status_payload *list = (struct sandwire_status_payload *)(block + sizeof *status);
  uint8_t *copy = (uint8_t *)block + sizeof *status + list_size;
  char *text = (char *)copy + size;
  if (size > 0) {
    memcpy(copy, bytes, size);
  }
  (void)parse_status(copy, size, status, list); /* it was parsed before without error */
  if (status->message_size > 0) {
    memcpy(text, status->message, status->message_size);
  }
  text[status->message_size] = '\0';
  status->message = text;
  return status;
}

enum sandwire_error sandwire_comms_recv_status(struct sandwire_comms *comms,
                                               struct sandwire_status **status) {
  uint32_t tag;
  enum sandwire_error error = sandwire_comms_peek_tag(comms, &tag);
  if (error) {
    return error;
  }
  comms->operation = "recv Status";
  if (tag != SANDWIRE_TAG_PROTO2) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_TAG_MISMATCH, "expected Proto2");
  }
  error = sandwire_transport_await_message(comms);
  if (error) {
    return error;
  }
  /* Parsed in place, so that a message that is not a status can still be received as something else. */
  const uint8_t *bytes = comms->reader.buffer + comms->reader.start + SANDWIRE_HEADER_SIZE;
  size_t length = 0;
  (void)sandwire_transport_await_header(comms, false, &tag,
                                        &length); /* it has arrived: this reads its length */
  struct sandwire_status parsed;
  if (!parse_status(bytes, length, &parsed, NULL)) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_INVALID_VALUE, "not a status message");
  }
  struct sandwire_status *built = build_status(&parsed, bytes, length);
  if (!built) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
  }
  struct sandwire_message message;
  error = sandwire_transport_take(comms, &message);
  if (error) {
    free(built);
    return error;
  }
  *status = built;
  return SANDWIRE_OK;
}
