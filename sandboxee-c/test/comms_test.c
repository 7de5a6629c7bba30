#include "sandwire/comms.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "transport.h"
#include "wire_lists.generated.h"

static struct sandwire_comms *left, *right;

static void open_both(void) {
  int pair[2];
  make_pair(pair);
  left = sandwire_comms_create(pair[0]);
  right = sandwire_comms_create(pair[1]);
  REQUIRE(left && right);
}

static void close_both(void) {
  sandwire_comms_destroy(left);
  sandwire_comms_destroy(right);
  left = right = NULL;
}

#define CHECK_ROUND_TRIP(name, type, sent)                                          \
  do {                                                                              \
    type round_trip_value = 0;                                                      \
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_##name(left, sent));               \
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_##name(right, &round_trip_value)); \
    CHECK(round_trip_value == (sent));                                              \
  } while (0)

static void values_come_back(void) {
  open_both();
  CHECK_ROUND_TRIP(bool, bool, true);
  CHECK_ROUND_TRIP(bool, bool, false);
#define CHECK_INTEGER(name, type, tag, text, is_signed)             \
  CHECK_ROUND_TRIP(name, type, (type)UINT64_C(0x8182838485868788)); \
  CHECK_ROUND_TRIP(name, type, (type)~UINT64_C(0));
  SANDWIRE_INTEGERS(CHECK_INTEGER)
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_barrier(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_barrier(right));

  char text[8];
  size_t size = 0;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string_sized(left, "a\0b", 3));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string(right, text, sizeof text, &size));
  CHECK(size == 3 && memcmp(text, "a\0b\0", 4) == 0);
  char *allocated = NULL;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string(left, ""));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string_alloc(right, &allocated, &size));
  CHECK(size == 0 && allocated && *allocated == '\0');
  free(allocated);

  void *bytes = NULL;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_message_pack(left, "\x93\1\2\3", 4));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_message_pack_alloc(right, &bytes, &size));
  CHECK(size == 4 && memcmp(bytes, "\x93\1\2\3", 4) == 0);
  free(bytes);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_protobuf(left, "\x08\1", 2));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_protobuf(right, text, sizeof text, &size));
  CHECK_EQUAL(2, size);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_tlv(left, 0x1234, "xyz", 3));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, 0x1234, text, sizeof text, NULL));
  CHECK(memcmp(text, "xyz", 3) == 0);
  close_both();
}

static void a_mismatch_leaves_the_message_unread(void) {
  open_both();
  uint32_t number = 0, tag = 0;
  char text[8];
  size_t size = 0;
  uint8_t narrow = 0;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string(left, "hello"));
  CHECK_EQUAL(SANDWIRE_ERROR_TAG_MISMATCH, sandwire_comms_recv_uint32(right, &number));
  CHECK(strstr(sandwire_comms_error_text(right), "recv Uint32: TAG_MISMATCH: expected Uint32, met String"));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_peek_tag(right, &tag));
  CHECK_EQUAL(SANDWIRE_TAG_STRING, tag);
  CHECK(sandwire_comms_has_message(right));
  CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_recv_string(right, text, 5, &size));
  CHECK_EQUAL(6, size);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string(right, text, 6, &size));
  CHECK(strcmp(text, "hello") == 0);
  CHECK(!sandwire_comms_has_message(right));

  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_tlv(left, SANDWIRE_TAG_UINT8, "abcd", 4));
  CHECK_EQUAL(SANDWIRE_ERROR_BAD_LENGTH, sandwire_comms_recv_uint8(right, &narrow));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, SANDWIRE_TAG_UINT8, text, sizeof text, &size));
  CHECK_EQUAL(4, size);

  int fd = -1;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(left, 0));
  CHECK_EQUAL(SANDWIRE_ERROR_TAG_MISMATCH, sandwire_comms_recv_uint32(right, &number));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(right, &fd));
  CHECK(fd > 2);
  close(fd);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_tlv(left, 0x99, NULL, 0));
  CHECK_EQUAL(SANDWIRE_ERROR_TAG_MISMATCH, sandwire_comms_recv_fd(right, &fd));
  CHECK(strstr(sandwire_comms_error_text(right), "expected Fd, met 0x00000099"));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, 0x99, NULL, 0, NULL));

  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_tlv(left, SANDWIRE_TAG_BOOL, "\2", 1));
  bool flag;
  CHECK_EQUAL(SANDWIRE_ERROR_INVALID_VALUE, sandwire_comms_recv_bool(right, &flag));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, SANDWIRE_TAG_BOOL, text, sizeof text, NULL));
  CHECK_EQUAL(SANDWIRE_ERROR_INVALID_VALUE, sandwire_comms_send_tlv(left, SANDWIRE_TAG_FD, NULL, 0));
  CHECK_EQUAL(SANDWIRE_ERROR_INVALID_VALUE, sandwire_comms_send_fd(left, -1));
  close_both();
}

static void *send_large(void *size) {
  char *bytes = malloc(*(size_t *)size);
  REQUIRE(bytes);
  for (size_t i = 0; i < *(size_t *)size; i++) {
    bytes[i] = (char)(i * 31 >> 3);
  }
  for (int i = 0; i < 4; i++) {
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bytes(left, bytes, *(size_t *)size));
  }
  free(bytes);
  return NULL;
}

static bool is_pattern(const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != (char)(i * 31 >> 3)) {
      return false;
    }
  }
  return true;
}

static void large_messages_arrive_whole(void) {
  static const size_t sizes[] = {1011, 1012, 1013, 65523, 65524, 65525, 1 << 20, 3000001};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    open_both();
    size_t size = sizes[i], received = 0;
    pthread_t sender;
    REQUIRE(pthread_create(&sender, NULL, send_large, &size) == 0);
    char *buffer = malloc(size);
    void *allocated = NULL;
    REQUIRE(buffer);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes(right, buffer, size, &received));
    CHECK(received == size && is_pattern(buffer, size));
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes_alloc(right, &allocated, &received));
    CHECK(received == size && is_pattern(allocated, size));
    free(allocated);
    sandwire_comms_set_timeout(right, 10000);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes(right, buffer, size, &received));
    CHECK(received == size && is_pattern(buffer, size));
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes_alloc(right, &allocated, &received));
    CHECK(received == size && is_pattern(allocated, size));
    free(allocated);
    free(buffer);
    REQUIRE(pthread_join(sender, NULL) == 0);
    close_both();
  }
}

static void limits_hold_both_ways(void) {
  open_both();
  sandwire_comms_set_payload_limit(left, 10);
  CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_send_bytes(left, "0123456789a", 11));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bytes(left, "0123456789", 10));
  sandwire_comms_set_payload_limit(right, 9);
  void *bytes;
  CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_recv_bytes_alloc(right, &bytes, NULL));
  CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_comms_recv_bytes_alloc(right, &bytes, NULL));
  close_both();
}

static void credentials_come_from_the_kernel(void) {
  open_both();
  struct sandwire_credentials credentials = {0};
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_credentials(left));
  CHECK_EQUAL(SANDWIRE_ERROR_NO_CREDENTIALS, sandwire_comms_recv_credentials(right, &credentials));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, SANDWIRE_TAG_CREDS, NULL, 0, NULL)); /* it stayed */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_credentials(left)); /* too early: nothing is attached */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_enable_credentials(right));
  CHECK_EQUAL(SANDWIRE_ERROR_NO_CREDENTIALS, sandwire_comms_recv_credentials(right, &credentials));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(right, SANDWIRE_TAG_CREDS, NULL, 0, NULL)); /* it stayed */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 1));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_credentials(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(left, 0));
  uint32_t value;
  int fd;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(right, &value));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_credentials(right, &credentials));
  CHECK(credentials.pid == getpid() && credentials.uid == getuid() && credentials.gid == getgid());
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(right, &fd));
  close(fd);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_peer_credentials(right, &credentials));
  CHECK_EQUAL(getpid(), credentials.pid);
  close_both();
}

static void a_status_keeps_its_payloads(void) {
  open_both();
  char large[1000];
  memset(large, 'x', sizeof large);
  const struct sandwire_status_payload payloads[] = {
      {.type_url = "a/b", .type_url_size = 3, .bytes = "\0\1", .size = 2},
      {.type_url = "c", .type_url_size = 1, .bytes = large, .size = sizeof large},
      {.type_url = "", .type_url_size = 0, .bytes = NULL, .size = 0},
  };
  const struct sandwire_status sent = {
      .code = -7, .message = "no", .message_size = 2, .payloads = payloads, .payload_count = 3};
  struct sandwire_status *met = NULL;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_status(left, &sent));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_status(right, &met));
  REQUIRE(met);
  CHECK(met->code == -7 && strcmp(met->message, "no") == 0 && met->payload_count == 3);
  CHECK(met->payloads[0].size == 2 && memcmp(met->payloads[0].bytes, "\0\1", 2) == 0);
  CHECK(met->payloads[1].size == 1000 && memcmp(met->payloads[1].bytes, large, 1000) == 0);
  CHECK(met->payloads[2].size == 0 && met->payloads[2].type_url_size == 0);
  free(met);

  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_protobuf(left, "\xff", 1));
  CHECK_EQUAL(SANDWIRE_ERROR_INVALID_VALUE, sandwire_comms_recv_status(right, &met));
  char byte;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_protobuf(right, &byte, 1, NULL));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bool(left, true));
  CHECK_EQUAL(SANDWIRE_ERROR_TAG_MISMATCH, sandwire_comms_recv_status(right, &met));
  close_both();
}

static void any_message_can_be_taken(void) {
  open_both();
  struct sandwire_any any;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string(left, "abc"));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(left, 0));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_any(right, &any));
  CHECK(any.tag == SANDWIRE_TAG_STRING && any.size == 3 && strcmp((char *)any.payload, "abc") == 0 &&
        any.fd == -1);
  sandwire_any_destroy(&any);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_any(right, &any));
  CHECK(any.tag == SANDWIRE_TAG_FD && any.size == 0 && any.fd > 2);
  sandwire_any_destroy(&any);
  sandwire_any_destroy(&any);

  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint8(right, 9));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_exchange(left, 7, "q", 1, &any));
  CHECK(any.tag == SANDWIRE_TAG_UINT8 && any.payload[0] == 9);
  sandwire_any_destroy(&any);
  close_both();
}

static void ignore(int signal_number) {
  (void)signal_number;
}

static void timeouts_leave_the_stream_in_sync(void) {
  open_both();
  uint32_t value = 0;
  sandwire_comms_set_timeout(right, 30);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_uint32(right, &value));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 5));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(right, &value));
  CHECK_EQUAL(5, value);

  /* A peer that never reads: the first sends fit into the socket, then one is sent in part, and that is
   * final. */
  sandwire_comms_set_timeout(left, 30);
  char *bytes = calloc(1, 1 << 20);
  REQUIRE(bytes);
  enum sandwire_error error = sandwire_comms_send_bytes(left, bytes, 1 << 20);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, error);
  CHECK_EQUAL(SANDWIRE_ERROR_TRUNCATED, sandwire_comms_send_uint32(left, 1));
  free(bytes);
  close_both();
}

static void signals_do_not_disturb(void) {
  open_both();
  struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART */
  REQUIRE(sigaction(SIGALRM, &action, NULL) == 0);
  ualarm(2000, 2000);
  sandwire_comms_set_timeout(right, 60);
  uint32_t value;
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_uint32(right, &value));
  size_t size = 3000001;
  pthread_t sender;
  REQUIRE(pthread_create(&sender, NULL, send_large, &size) == 0);
  sandwire_comms_set_timeout(right, -1);
  for (int i = 0; i < 4; i++) {
    void *bytes = NULL;
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes_alloc(right, &bytes, NULL));
    CHECK(is_pattern(bytes, size));
    free(bytes);
    usleep(5000);
  }
  REQUIRE(pthread_join(sender, NULL) == 0);
  ualarm(0, 0);
  close_both();
}

static void the_default_is_found(void) {
  int pair[2];
  make_pair(pair);
  char text[16];
  snprintf(text, sizeof text, "%d", pair[0]);
  REQUIRE(setenv(SANDWIRE_COMMS_FD_ENV, text, 1) == 0);
  struct sandwire_comms *comms = sandwire_comms_default();
  REQUIRE(comms);
  CHECK_EQUAL(pair[0], sandwire_comms_fd(comms));
  CHECK(!getenv(SANDWIRE_COMMS_FD_ENV));
  sandwire_comms_destroy(comms);
  static const char *const bad[] = {"", "-1", "3x", " 3", "99999999999", "0x3"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REQUIRE(setenv(SANDWIRE_COMMS_FD_ENV, bad[i], 1) == 0);
    CHECK(!sandwire_comms_default() && errno == EINVAL);
  }
  CHECK(!sandwire_comms_default() && errno == EBADF); /* 1023 is not open here */
  CHECK(!sandwire_comms_create(-1) && errno == EBADF);
  int pipe_fds[2];
  REQUIRE(pipe(pipe_fds) == 0);
  CHECK(!sandwire_comms_create(pipe_fds[0]) && errno == ENOTSOCK);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  close(pair[1]);
}

static void mappings_are_parsed_strictly(void) {
  REQUIRE(setenv(SANDWIRE_FD_MAPPINGS_ENV, "log,0,data,1", 1) == 0);
  struct sandwire_client *client = sandwire_client_create(NULL);
  REQUIRE(client);
  CHECK(!getenv(SANDWIRE_FD_MAPPINGS_ENV));
  CHECK_EQUAL(0, sandwire_client_mapped_fd(client, "log"));
  CHECK_EQUAL(1, sandwire_client_mapped_fd(client, "data"));
  CHECK_EQUAL(-1, sandwire_client_mapped_fd(client, "dat"));
  CHECK(sandwire_client_has_mapped_fd(client, "log") && !sandwire_client_has_mapped_fd(client, ""));
  CHECK_EQUAL(SANDWIRE_ERROR_INVALID_VALUE, sandwire_client_sandbox_me_here(client));
  sandwire_client_destroy(client);
  static const char *const bad[] = {"log",    "log,",    "log,x",   "log,1,", ",1",
                                    "log,-1", "log,987", "a,1,a,0", "a,1,,0"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    REQUIRE(setenv(SANDWIRE_FD_MAPPINGS_ENV, bad[i], 1) == 0);
    CHECK(!sandwire_client_create(NULL) && errno == EINVAL);
  }
  REQUIRE(setenv(SANDWIRE_FD_MAPPINGS_ENV, "", 1) == 0); /* sandbox2 sets this when there are none */
  client = sandwire_client_create(NULL);
  CHECK(client);
  sandwire_client_destroy(client);
}

static ssize_t bytes_at(int socket) {
  static char bytes[1 << 20];
  return recv(socket, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
}

static void corked_messages_go_out_together(void) {
  open_both();
  int other = sandwire_comms_fd(right);
  uint32_t value = 0;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_uncork(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_cork(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_cork(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 1));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_barrier(left));
  CHECK(bytes_at(other) == -1 && errno == EAGAIN);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(left, 0)); /* in order, after them */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(right, &value));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_barrier(right));
  int fd = -1;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(right, &fd));
  close(fd);

  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 2));
  sandwire_comms_set_timeout(left, 20);
  CHECK_EQUAL(SANDWIRE_ERROR_TIMEOUT, sandwire_comms_recv_uint32(left, &value)); /* pushes it out */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(right, &value));
  CHECK_EQUAL(2, value);

  static char large[SANDWIRE_CORK_SIZE];
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 3));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bytes(left, large, sizeof large - SANDWIRE_HEADER_SIZE));
  CHECK_EQUAL(16, bytes_at(other)); /* the first was sent to make room */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bytes(left, large, sizeof large));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(right, &value));
  size_t size = 0;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes(right, large, sizeof large, &size));
  CHECK_EQUAL(sizeof large - SANDWIRE_HEADER_SIZE, size);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes(right, large, sizeof large, &size));
  CHECK_EQUAL(sizeof large, size);

  enum { COUNT = 20000 };
  for (uint32_t i = 0; i < COUNT; i++) { /* more than 64 KiB */
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint8(left, (uint8_t)i));
    if (i % 1000 == 0) {
      CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_uncork(left));
      CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_cork(left));
    }
    uint8_t byte = 0;
    if (i % 1000 == 0) {
      for (uint32_t j = i < 1000 ? 0 : i - 999; j <= i; j++) {
        CHECK(sandwire_comms_recv_uint8(right, &byte) == SANDWIRE_OK && byte == (uint8_t)j);
      }
    }
  }
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_uncork(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_cork(left));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string(right, "bye"));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(left, 4));
  sandwire_comms_destroy(right);
  char text[8];
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string(left, text, sizeof text, NULL));
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_uncork(left));
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_send_uint32(left, 5));
  sandwire_comms_destroy(left);
}

static void errors_have_words(void) {
  CHECK(strcmp(sandwire_error_name(SANDWIRE_ERROR_NO_FD), "NO_FD") == 0);
  CHECK(strcmp(sandwire_strerror(999), "unknown error") == 0 && sandwire_strerror(-1));
  for (int error = SANDWIRE_OK; error <= SANDWIRE_ERROR_SYSTEM; error++) {
    CHECK(sandwire_strerror(error) && sandwire_error_name(error));
  }
  CHECK(!sandwire_tag_name(5));
  CHECK(!sandwire_is_sandboxed());
}

int main(void) {
  values_come_back();
  a_mismatch_leaves_the_message_unread();
  large_messages_arrive_whole();
  limits_hold_both_ways();
  credentials_come_from_the_kernel();
  a_status_keeps_its_payloads();
  any_message_can_be_taken();
  timeouts_leave_the_stream_in_sync();
  signals_do_not_disturb();
  the_default_is_found();
  mappings_are_parsed_strictly();
  corked_messages_go_out_together();
  errors_have_words();
  return report_checks();
}
