#include <string.h>

#include "sandwire/comms.h"
#include "transport.h"
#include "wire_lists.generated.h"

#define DEFINE_SEND(name, type, tag, text, is_signed)                                        \
  enum sandwire_error sandwire_comms_send_##name(struct sandwire_comms *comms, type value) { \
    sandwire_transport_begin(comms, "send " text);                                           \
    return sandwire_transport_send(comms, tag, &value, sizeof value, -1);                    \
  }

SANDWIRE_INTEGERS(DEFINE_SEND)

enum sandwire_error sandwire_comms_send_bool(struct sandwire_comms *comms, bool value) {
  sandwire_transport_begin(comms, "send Bool");
  uint8_t byte = value ? 1 : 0;
  return sandwire_transport_send(comms, SANDWIRE_TAG_BOOL, &byte, sizeof byte, -1);
}

enum sandwire_error sandwire_comms_send_string(struct sandwire_comms *comms, const char *string) {
  return sandwire_comms_send_string_sized(comms, string, strlen(string));
}

enum sandwire_error sandwire_comms_send_string_sized(struct sandwire_comms *comms, const char *string,
                                                     size_t size) {
  sandwire_transport_begin(comms, "send String");
  return sandwire_transport_send(comms, SANDWIRE_TAG_STRING, string, size, -1);
}

enum sandwire_error sandwire_comms_send_bytes(struct sandwire_comms *comms, const void *bytes, size_t size) {
  sandwire_transport_begin(comms, "send Bytes");
  return sandwire_transport_send(comms, SANDWIRE_TAG_BYTES, bytes, size, -1);
}

enum sandwire_error sandwire_comms_send_protobuf(struct sandwire_comms *comms, const void *bytes,
                                                 size_t size) {
  sandwire_transport_begin(comms, "send Proto2");
  return sandwire_transport_send(comms, SANDWIRE_TAG_PROTO2, bytes, size, -1);
}

enum sandwire_error sandwire_comms_send_message_pack(struct sandwire_comms *comms, const void *bytes,
                                                     size_t size) {
  sandwire_transport_begin(comms, "send MessagePack");
  return sandwire_transport_send(comms, SANDWIRE_TAG_MESSAGE_PACK, bytes, size, -1);
}

enum sandwire_error sandwire_comms_send_tlv(struct sandwire_comms *comms, uint32_t tag, const void *bytes,
                                            size_t size) {
  sandwire_transport_begin(comms, "send TLV");
  if (tag == SANDWIRE_TAG_FD || tag == SANDWIRE_TAG_COMMS_UPGRADE) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_INVALID_VALUE, "that tag needs an fd with it");
  }
  return sandwire_transport_send(comms, tag, bytes, size, -1);
}

enum sandwire_error sandwire_comms_send_barrier(struct sandwire_comms *comms) {
  sandwire_transport_begin(comms, "send Barrier");
  return sandwire_transport_send(comms, SANDWIRE_TAG_BARRIER, NULL, 0, -1);
}

enum sandwire_error sandwire_comms_send_fd(struct sandwire_comms *comms, int fd) {
  sandwire_transport_begin(comms, "send Fd");
  if (fd < 0) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_INVALID_VALUE, "a negative number is no fd");
  }
  return sandwire_transport_send(comms, SANDWIRE_TAG_FD, NULL, 0, fd);
}

enum sandwire_error sandwire_comms_send_credentials(struct sandwire_comms *comms) {
  sandwire_transport_begin(comms, "send Creds");
  return sandwire_transport_send(comms, SANDWIRE_TAG_CREDS, NULL, 0, -1);
}
