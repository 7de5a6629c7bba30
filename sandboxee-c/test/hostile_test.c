/* The typed calls with peers that misbehave. The reader's own cases are in reader_test.c. */
#include <errno.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "wire_bytes.h"

static struct sandwire_comms *comms;
static int peer;

static void open_comms(void) {
  int pair[2];
  make_pair(pair);
  comms = sandwire_comms_create(pair[0]);
  REQUIRE(comms);
  peer = pair[1];
}

static void close_comms(void) {
  sandwire_comms_destroy(comms);
  if (peer >= 0) {
    close(peer);
  }
}

static void hang_up(void) {
  close(peer);
  peer = -1;
}

static void length_bomb(void) {
  static const uint64_t lengths[] = {UINT64_C(1) << 63, UINT64_MAX, UINT64_C(1) << 31,
                                     SANDWIRE_DEFAULT_PAYLOAD_LIMIT + 1};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    open_comms();
    void *bytes = NULL;
    send_header(peer, SANDWIRE_TAG_BYTES, lengths[i], -1);
    CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_recv_bytes_alloc(comms, &bytes, NULL));
    CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_recv_bytes_alloc(comms, &bytes, NULL));
    close_comms();
  }
}

static void half_a_header_then_silence(void) {
  open_comms();
  uint32_t value;
  uint8_t message[16];
  put_header(message, SANDWIRE_TAG_UINT32, 4);
  memcpy(message + 12, "\1\0\0\0", 4);
  send_raw(peer, message, 7, -1);
  sandwire_comms_set_timeout(comms, 30);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_uint32(comms, &value));
  send_raw(peer, message + 7, 7, -1);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_uint32(comms, &value));
  send_raw(peer, message + 14, 2, -1);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(comms, &value));
  CHECK_EQUAL(1, value);
  close_comms();
}

static void half_a_payload_then_silence(void) {
  open_comms();
  char buffer[100] = {0};
  void *bytes = NULL;
  send_header(peer, SANDWIRE_TAG_BYTES, 100, -1);
  send_raw(peer, buffer, 50, -1);
  sandwire_comms_set_timeout(comms, 30);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_bytes(comms, buffer, sizeof buffer, NULL));
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_bytes_alloc(comms, &bytes, NULL));
  memset(buffer, 7, 50);
  send_raw(peer, buffer, 50, -1);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes(comms, buffer, sizeof buffer, NULL));
  close_comms();
}

static void death_in_mid_message(void) {
  uint32_t value;
  void *bytes = NULL;
  char buffer[100] = {0};
  for (int with_timeout = 0; with_timeout < 2; with_timeout++) {
    open_comms();
    sandwire_comms_set_timeout(comms, with_timeout ? 1000 : -1);
    send_raw(peer, "abc", 3, -1);
    hang_up();
    CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_recv_uint32(comms, &value));
    CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_recv_uint32(comms, &value));
    close_comms();

    open_comms();
    sandwire_comms_set_timeout(comms, with_timeout ? 1000 : -1);
    send_header(peer, SANDWIRE_TAG_BYTES, 100, -1);
    send_raw(peer, buffer, 5, -1);
    hang_up();
    CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_recv_bytes(comms, buffer, sizeof buffer, NULL));
    CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_recv_bytes(comms, buffer, sizeof buffer, NULL));
    close_comms();

    open_comms();
    sandwire_comms_set_timeout(comms, with_timeout ? 1000 : -1);
    send_header(peer, SANDWIRE_TAG_BYTES, 100 << 20, -1);
    send_raw(peer, buffer, 5, -1);
    hang_up();
    CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_recv_bytes_alloc(comms, &bytes, NULL));
    close_comms();
  }
}

static void a_closed_peer(void) {
  open_comms();
  uint32_t value;
  char *text = NULL;
  send_header(peer, SANDWIRE_TAG_STRING, 2, -1);
  send_raw(peer, "hi", 2, -1);
  hang_up();
  /* No SIGPIPE; earlier messages can still be received after a send has failed. */
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_send_uint32(comms, 1));
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_send_fd(comms, 0));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string_alloc(comms, &text, NULL));
  free(text);
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_recv_uint32(comms, &value));
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_recv_uint32(comms, &value));
  close_comms();

  open_comms(); /* closed with our bytes unread: the kernel reports ECONNRESET */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(comms, 1));
  hang_up();
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_recv_uint32(comms, &value));
  close_comms();
}

static void fds_in_wrong_places(void) {
  size_t before = count_open_fds();
  uint32_t value;
  int fd = -1;
  char buffer[100] = {0};
  void *bytes = NULL;

  open_comms();
  send_header(peer, SANDWIRE_TAG_UINT32, 4, 0);
  send_raw(peer, "abcd", 4, -1);
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_uint32(comms, &value));
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_uint32(comms, &value));
  close_comms();

  for (int with_timeout = 0; with_timeout < 2; with_timeout++) {
    open_comms();
    sandwire_comms_set_timeout(comms, with_timeout ? 1000 : -1);
    send_header(peer, SANDWIRE_TAG_BYTES, 100, -1);
    send_raw(peer, buffer, 50, 0);
    CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_bytes(comms, buffer, sizeof buffer, NULL));
    close_comms();

    open_comms();
    sandwire_comms_set_timeout(comms, with_timeout ? 1000 : -1);
    send_header(peer, SANDWIRE_TAG_BYTES, 100, 0);
    CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_bytes_alloc(comms, &bytes, NULL));
    close_comms();
  }

  open_comms();
  send_header(peer, SANDWIRE_TAG_FD, 0, -1);
  CHECK_EQUAL(SANDWIRE_ERROR_NO_FD, sandwire_comms_recv_fd(comms, &fd));
  CHECK_EQUAL(SANDWIRE_ERROR_NO_FD, sandwire_comms_recv_fd(comms, &fd));
  close_comms();

  open_comms(); /* never received: closed with comms */
  for (int i = 0; i < 100; i++) {
    send_header(peer, SANDWIRE_TAG_FD, 0, 0);
  }
  CHECK_EQUAL(SANDWIRE_ERROR_TAG_MISMATCH, sandwire_comms_recv_uint32(comms, &value));
  CHECK(count_open_fds() <= before + 3);
  close_comms();

  open_comms(); /* an Fd message received as a plain TLV */
  send_header(peer, SANDWIRE_TAG_FD, 0, 0);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(comms, SANDWIRE_TAG_FD, NULL, 0, NULL));
  close_comms();

  open_comms();
  struct sandwire_any any;
  send_header(peer, SANDWIRE_TAG_FD, 3, 0);
  send_raw(peer, "abc", 3, -1);
  CHECK_EQUAL(SANDWIRE_ERROR_BAD_LENGTH, sandwire_comms_recv_any(comms, &any));
  close_comms();
  CHECK_EQUAL(before, count_open_fds());
}

static void truncated_control_data(void) {
  /* More fds than this process may open: the kernel drops them and sets MSG_CTRUNC. */
  open_comms();
  send_header(peer, SANDWIRE_TAG_FD, 0, 0);
  int fds[2048], count = 0;
  while (count < 2048 && (fds[count] = dup(0)) >= 0) {
    count++;
  }
  int fd = -1;
  if (count < 2048) {
    CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_fd(comms, &fd));
  }
  while (count > 0) {
    close(fds[--count]);
  }
  close_comms();
}

int main(void) {
  length_bomb();
  half_a_header_then_silence();
  half_a_payload_then_silence();
  death_in_mid_message();
  a_closed_peer();
  fds_in_wrong_places();
  truncated_control_data();
  return report_checks();
}
