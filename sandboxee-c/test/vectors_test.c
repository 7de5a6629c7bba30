/* The golden vectors, both ways: what a call sends must be these bytes, and these bytes must be received as
 * the value, in one piece and in many. Lines on standard input, made from protocol/vectors.json by the test
 * runner: "<kind> <argument> <bytes>", bytes in hex, "-" for nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "wire_bytes.h"
#include "wire_lists.generated.h"

enum { MAX_BYTES = 64 * 1024 };

static size_t from_hex(const char *hex, uint8_t *bytes) {
  size_t size = 0;
  if (strcmp(hex, "-") == 0) {
    return 0;
  }
  for (; hex[0] && hex[1]; hex += 2) {
    unsigned byte;
    REQUIRE(size < MAX_BYTES && sscanf(hex, "%2x", &byte) == 1);
    bytes[size++] = (uint8_t)byte;
  }
  return size;
}

static struct sandwire_comms *comms;
static int peer;
static uint8_t golden[MAX_BYTES], value[MAX_BYTES], met[MAX_BYTES];
static size_t golden_size, value_size;

static void check_sent(const char *kind, enum sandwire_error error) {
  uint8_t raw[MAX_BYTES];
  size_t size = 0;
  size_t fds = 0;
  struct sandwire_arrived_fds arrived;
  CHECK_EQUAL(SANDWIRE_OK, error);
  while (size < golden_size) {
    ssize_t received = sandwire_socket_receive(peer, raw + size, golden_size - size, MSG_DONTWAIT, &arrived);
    fds += arrived.count;
    for (size_t i = 0; i < arrived.count; i++) {
      close(arrived.fds[i]);
    }
    if (received <= 0) {
      break;
    }
    size += (size_t)received;
  }
  CHECK(size == golden_size && memcmp(raw, golden, size) == 0);
  CHECK_EQUAL(strcmp(kind, "FD") == 0, fds);
  CHECK(sandwire_socket_receive(peer, raw, 1, MSG_DONTWAIT, &arrived) == -EAGAIN);
}

static void feed(bool bytewise, int fd) {
  /* A socket holds only some hundred pieces, so large ones are cut less finely. */
  size_t step = bytewise ? 1 + golden_size / 100 : golden_size;
  for (size_t at = 0; at < golden_size; at += step) {
    size_t size = step < golden_size - at ? step : golden_size - at;
    /* The fd goes with the last byte here and with the first when sent whole: both are right. */
    send_raw(peer, golden + at, size, at + size == golden_size ? fd : -1);
  }
}

#define VECTOR_NUMBER(name, type, tag, text, is_signed)                                                     \
  if (strcmp(kind, text) == 0) {                                                                            \
    type received = 0;                                                                                      \
    char *end = NULL;                                                                                       \
    const type number = is_signed ? (type)strtoll(argument, &end, 10) : (type)strtoull(argument, &end, 10); \
    REQUIRE(end != argument && *end == '\0');                                                               \
    check_sent(kind, sandwire_comms_send_##name(comms, number));                                            \
    for (int bytewise = 0; bytewise < 2; bytewise++) {                                                      \
      feed(bytewise, -1);                                                                                   \
      CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_##name(comms, &received));                               \
      CHECK(received == number);                                                                            \
    }                                                                                                       \
    return true;                                                                                            \
  }

#define VECTOR_SIZED(text, send, receive)                         \
  if (strcmp(kind, text) == 0) {                                  \
    check_sent(kind, send);                                       \
    for (int bytewise = 0; bytewise < 2; bytewise++) {            \
      size_t size = 0;                                            \
      feed(bytewise, -1);                                         \
      CHECK_EQUAL(SANDWIRE_OK, receive);                          \
      CHECK(size == value_size && memcmp(met, value, size) == 0); \
    }                                                             \
    return true;                                                  \
  }

static bool check_vector(const char *kind, const char *argument) {
  if (strcmp(kind, "Bool") == 0) {
    bool expected = argument[0] == '1', received = !expected;
    check_sent(kind, sandwire_comms_send_bool(comms, expected));
    feed(false, -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bool(comms, &received));
    CHECK_EQUAL(expected, received);
    return true;
  }
  SANDWIRE_INTEGERS(VECTOR_NUMBER)
  unsigned tag = 0;
  int32_t code = 0;
  const char *colon = strchr(argument, ':');
  if (strcmp(kind, "TLV") == 0) {
    REQUIRE(colon && sscanf(argument, "%u", &tag) == 1);
  } else if (strcmp(kind, "Status") == 0) {
    REQUIRE(colon && sscanf(argument, "%" SCNd32, &code) == 1);
  }
  value_size = from_hex(colon ? colon + 1 : argument, value);
  VECTOR_SIZED("String", sandwire_comms_send_string_sized(comms, (char *)value, value_size),
               sandwire_comms_recv_string(comms, (char *)met, sizeof met, &size))
  VECTOR_SIZED("Bytes", sandwire_comms_send_bytes(comms, value, value_size),
               sandwire_comms_recv_bytes(comms, met, sizeof met, &size))
  VECTOR_SIZED("Proto", sandwire_comms_send_protobuf(comms, value, value_size),
               sandwire_comms_recv_protobuf(comms, met, sizeof met, &size))
  VECTOR_SIZED("MessagePack", sandwire_comms_send_message_pack(comms, value, value_size),
               sandwire_comms_recv_message_pack(comms, met, sizeof met, &size))
  VECTOR_SIZED("TLV", sandwire_comms_send_tlv(comms, tag, value, value_size),
               sandwire_comms_recv_tlv(comms, tag, met, sizeof met, &size))
  if (strcmp(kind, "Status") == 0) {
    struct sandwire_status status = {.code = code, .message = (char *)value, .message_size = value_size};
    struct sandwire_status *received = NULL;
    check_sent(kind, sandwire_comms_send_status(comms, &status));
    feed(false, -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_status(comms, &received));
    CHECK(received && received->code == code && received->message_size == value_size &&
          memcmp(received->message, value, value_size) == 0);
    free(received);
    return true;
  }
  if (strcmp(kind, "Barrier") == 0) {
    check_sent(kind, sandwire_comms_send_barrier(comms));
    feed(true, -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_barrier(comms));
    return true;
  }
  if (strcmp(kind, "FD") == 0) {
    check_sent(kind, sandwire_comms_send_fd(comms, peer));
    for (int bytewise = 0; bytewise < 2; bytewise++) {
      int fd = -1;
      feed(bytewise, peer);
      CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(comms, &fd));
      close(fd);
    }
    return true;
  }
  if (strcmp(kind, "Creds") == 0) {
    struct sandwire_credentials credentials = {0};
    check_sent(kind, sandwire_comms_send_credentials(comms));
    REQUIRE(sandwire_comms_enable_credentials(comms) == SANDWIRE_OK);
    feed(false, -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_credentials(comms, &credentials));
    CHECK_EQUAL(getpid(), credentials.pid);
    return true;
  }
  return false;
}

int main(void) {
  static char kind[32], argument[2 * MAX_BYTES], hex[2 * MAX_BYTES];
  while (scanf("%31s %131071s %131071s", kind, argument, hex) == 3) {
    int pair[2];
    make_pair(pair);
    comms = sandwire_comms_create(pair[0]);
    REQUIRE(comms);
    peer = pair[1];
    golden_size = from_hex(hex, golden);
    if (!check_vector(kind, argument)) {
      fprintf(stderr, "unknown kind %s\n", kind);
      checks_failed++;
    }
    sandwire_comms_destroy(comms);
    close(peer);
  }
  return report_checks();
}
