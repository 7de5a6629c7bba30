#include "reader.h"

#include <errno.h>
#include <fcntl.h>

#include "check.h"
#include "wire_bytes.h"

static void takes_many_messages_of_one_receive(void) {
  int pair[2];
  make_pair(pair);
  uint8_t bytes[1000 * 16];
  for (size_t i = 0; i < 1000; i++) {
    uint32_t value = (uint32_t)i;
    put_header(bytes + i * 16, SANDWIRE_TAG_UINT32, 4);
    memcpy(bytes + i * 16 + 12, &value, 4);
  }
  send_raw(pair[0], bytes, sizeof bytes, -1);
  struct sandwire_reader reader;
  struct sandwire_message message;
  sandwire_reader_init(&reader, 100);
  CHECK_EQUAL(0, sandwire_reader_next(&reader, &message));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_reader_fill(&reader, pair[1], 0));
  size_t taken = 0;
  uint32_t value;
  while (sandwire_reader_next(&reader, &message) == 1) {
    memcpy(&value, message.payload, 4);
    if (value != taken) {
      break;
    }
    taken++;
  }
  CHECK_EQUAL(1000, taken);
  CHECK_EQUAL(SANDWIRE_ERROR_SYSTEM, sandwire_reader_fill(&reader, pair[1], MSG_DONTWAIT));
  CHECK_EQUAL(EAGAIN, errno);
  close(pair[0]);
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_reader_fill(&reader, pair[1], 0));
  sandwire_reader_destroy(&reader);
  sandwire_reader_destroy(&reader);
  close(pair[1]);
}

static void takes_a_message_byte_by_byte(void) {
  int pair[2];
  make_pair(pair);
  uint8_t bytes[15];
  put_header(bytes, SANDWIRE_TAG_STRING, 3);
  memcpy(bytes + 12, "abc", 3);
  struct sandwire_reader reader;
  struct sandwire_message message;
  sandwire_reader_init(&reader, 100);
  for (size_t i = 0; i < sizeof bytes; i++) {
    uint32_t tag;
    CHECK_EQUAL(0, sandwire_reader_next(&reader, &message));
    CHECK_EQUAL(i >= 12, sandwire_reader_peek(&reader, &tag));
    send_raw(pair[0], bytes + i, 1, -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_reader_fill(&reader, pair[1], 0));
  }
  CHECK_EQUAL(1, sandwire_reader_next(&reader, &message));
  CHECK(message.length == 3 && memcmp(message.payload, "abc", 3) == 0 && message.fd == -1);
  sandwire_reader_destroy(&reader);
  close(pair[0]);
  close(pair[1]);
}

static void memory_follows_what_arrived(void) {
  int pair[2];
  make_pair(pair);
  struct sandwire_reader reader;
  struct sandwire_message message;
  sandwire_reader_init(&reader, UINT64_MAX);
  CHECK_EQUAL(SANDWIRE_MAX_PAYLOAD, reader.payload_limit);
  send_header(pair[0], SANDWIRE_TAG_BYTES, SANDWIRE_MAX_PAYLOAD, -1);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_reader_fill(&reader, pair[1], 0));
  CHECK_EQUAL(0, sandwire_reader_next(&reader, &message));
  CHECK(reader.capacity <= 64 * 1024);
  sandwire_reader_destroy(&reader);

  /* A large message makes the buffer grow; small ones after it make it shrink again. */
  sandwire_reader_init(&reader, 64 << 20);
  size_t large = 8 << 20;
  uint8_t *payload = calloc(1, large);
  REQUIRE(payload);
  send_header(pair[0], SANDWIRE_TAG_BYTES, large, -1);
  size_t sent = 0;
  for (;;) {
    if (sent < large) {
      struct iovec part = {.iov_base = payload + sent, .iov_len = large - sent};
      ssize_t some = sandwire_socket_send(pair[0], &part, 1, MSG_DONTWAIT, -1);
      sent += some > 0 ? (size_t)some : 0;
    }
    CHECK(reader.capacity <= 64 * 1024 ||
          reader.capacity <= 2 * (reader.end - reader.start) + SANDWIRE_HEADER_SIZE);
    REQUIRE(sandwire_reader_fill(&reader, pair[1], 0) == SANDWIRE_OK);
    int taken = sandwire_reader_next(&reader, &message);
    REQUIRE(taken >= 0);
    if (taken == 1) {
      break;
    }
  }
  CHECK_EQUAL(large, message.length);
  CHECK(reader.capacity <= large + SANDWIRE_HEADER_SIZE);
  send_header(pair[0], SANDWIRE_TAG_BARRIER, 0, -1);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_reader_fill(&reader, pair[1], 0));
  CHECK_EQUAL(1, sandwire_reader_next(&reader, &message));
  CHECK_EQUAL(64 * 1024, reader.capacity);
  free(payload);
  sandwire_reader_destroy(&reader);
  close(pair[0]);
  close(pair[1]);
}

static void refuses_length_bombs(void) {
  static const uint64_t lengths[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 31, 101};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    int pair[2];
    make_pair(pair);
    struct sandwire_reader reader;
    struct sandwire_message message;
    uint32_t tag;
    sandwire_reader_init(&reader, 100);
    send_header(pair[0], SANDWIRE_TAG_BYTES, lengths[i], -1);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_reader_fill(&reader, pair[1], 0));
    CHECK_EQUAL(-SANDWIRE_ERROR_TOO_LARGE, sandwire_reader_next(&reader, &message));
    CHECK_EQUAL(-SANDWIRE_ERROR_TOO_LARGE, sandwire_reader_next(&reader, &message));
    CHECK_EQUAL(-SANDWIRE_ERROR_TOO_LARGE, sandwire_reader_peek(&reader, &tag));
    sandwire_reader_destroy(&reader);
    close(pair[0]);
    close(pair[1]);
  }
}

/* One case of fds among bytes: fills until nothing is left, then takes messages until there are none, or an
 * error. */
struct outcome {
  int error; /* the error of fill or next; 0: none */
  size_t taken, fds;
};

static struct outcome drain(int socket) {
  struct sandwire_reader reader;
  struct sandwire_message message;
  struct outcome outcome = {0};
  sandwire_reader_init(&reader, 1 << 20);
  for (;;) {
    int filled = sandwire_reader_fill(&reader, socket, MSG_DONTWAIT);
    if (filled != SANDWIRE_OK) {
      outcome.error = filled == SANDWIRE_ERROR_SYSTEM && errno == EAGAIN ? 0 : filled;
      break;
    }
    int taken;
    while ((taken = sandwire_reader_next(&reader, &message)) == 1) {
      outcome.taken++;
      if (message.fd >= 0) {
        CHECK(fcntl(message.fd, F_GETFD) & FD_CLOEXEC);
        outcome.fds++;
        close(message.fd);
      }
    }
    if (taken < 0) {
      outcome.error = -taken;
      CHECK_EQUAL(taken, sandwire_reader_next(&reader, &message));
      CHECK_EQUAL(-taken, sandwire_reader_fill(&reader, socket, MSG_DONTWAIT));
      break;
    }
  }
  sandwire_reader_destroy(&reader);
  return outcome;
}

static void fds_belong_to_their_message(void) {
  int pair[2];
  make_pair(pair);
  /* Earlier messages and the Fd header come in one receive, the following ones in the next. */
  for (int i = 0; i < 3; i++) {
    send_header(pair[0], SANDWIRE_TAG_BARRIER, 0, -1);
    send_header(pair[0], SANDWIRE_TAG_BARRIER, 0, -1);
    send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
    send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
  }
  send_header(pair[0], SANDWIRE_TAG_BARRIER, 0, -1);
  struct outcome outcome = drain(pair[1]);
  CHECK_EQUAL(0, outcome.error);
  CHECK_EQUAL(13, outcome.taken);
  CHECK_EQUAL(6, outcome.fds);
  close(pair[0]);
  close(pair[1]);
}

static void an_fd_header_may_come_in_parts(void) {
  uint8_t header[SANDWIRE_HEADER_SIZE];
  put_header(header, SANDWIRE_TAG_FD, 0);
  for (size_t cut = 1; cut < sizeof header; cut++) {
    for (int fd_with_second = 0; fd_with_second < 2; fd_with_second++) {
      int pair[2];
      make_pair(pair);
      send_raw(pair[0], header, cut, fd_with_second ? -1 : 0);
      send_raw(pair[0], header + cut, sizeof header - cut, fd_with_second ? 0 : -1);
      struct outcome outcome = drain(pair[1]);
      CHECK(outcome.error == 0 && outcome.taken == 1 && outcome.fds == 1);
      close(pair[0]);
      close(pair[1]);
    }
  }
}

/* Bytes of such a size that the reader's 64 KiB end `place` bytes after them, then an fd, some bytes, an fd
 * and another one: the end of the buffer cuts them at every possible place. */
static struct outcome drain_across_the_border(size_t place, size_t between) {
  static uint8_t bytes[2 * 64 * 1024];
  int pair[2];
  make_pair(pair);
  size_t size = 64 * 1024 - SANDWIRE_HEADER_SIZE - place;
  put_header(bytes, SANDWIRE_TAG_BYTES, size);
  send_raw(pair[0], bytes, SANDWIRE_HEADER_SIZE + size, -1);
  send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
  put_header(bytes, SANDWIRE_TAG_BYTES, between);
  send_raw(pair[0], bytes, SANDWIRE_HEADER_SIZE + between, -1);
  send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
  send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
  struct outcome outcome = drain(pair[1]);
  close(pair[0]);
  close(pair[1]);
  return outcome;
}

static void fds_may_come_wherever_a_receive_ends(void) {
  static const size_t between[] = {0, 7, 70 * 1000};
  size_t before = count_open_fds();
  for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
    for (size_t place = 0; place < 5 * SANDWIRE_HEADER_SIZE + 8; place++) {
      struct outcome outcome = drain_across_the_border(place, between[i]);
      CHECK(outcome.error == 0 && outcome.taken == 5 && outcome.fds == 3);
    }
  }
  CHECK_EQUAL(before, count_open_fds());
}

static size_t next_random(uint32_t *state) { /* the same for a seed each time */
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

/* Streams that keep the rules, and some with one fd too many, on the second part of a message. */
static void random_streams_of_bytes_and_fds(void) {
  static uint8_t bytes[64 * 1024 + 64];
  size_t before = count_open_fds();
  for (uint32_t seed = 1; seed <= 600; seed++) {
    bool is_hostile = seed % 3 == 0;
    uint32_t state = seed;
    size_t count = 3 + next_random(&state) % 12, fds = 0, total = 0;
    size_t hostile_place = is_hostile ? next_random(&state) % count : count;
    int pair[2];
    make_pair(pair);
    for (size_t i = 0; i < count; i++) {
      size_t kind = next_random(&state) % 4, size = next_random(&state) % 40;
      bool is_fd = kind < 2;
      if (is_fd) {
        size = 0;
      } else if (kind == 3 && total < 100 * 1000) { /* so that everything fits into the socket */
        size += 64 * 1024 - 40;
      }
      put_header(bytes, is_fd ? SANDWIRE_TAG_FD : SANDWIRE_TAG_BYTES, size);
      size += SANDWIRE_HEADER_SIZE;
      size_t first = i == hostile_place ? 1 + next_random(&state) % (size - 1) : size;
      send_raw(pair[0], bytes, first, is_fd ? 0 : -1);
      if (first < size) {
        send_raw(pair[0], bytes + first, size - first, 0);
      }
      fds += is_fd;
      total += size;
    }
    struct outcome outcome = drain(pair[1]);
    if (is_hostile) {
      CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, outcome.error);
      CHECK_EQUAL(hostile_place, outcome.taken);
    } else {
      CHECK(outcome.error == 0 && outcome.taken == count && outcome.fds == fds);
    }
    close(pair[0]);
    close(pair[1]);
  }
  CHECK_EQUAL(before, count_open_fds());
}

static void misplaced_fds_fail_the_channel(void) {
  size_t before = count_open_fds();
  uint8_t bytes[64];
  int pair[2];

  make_pair(pair); /* on another message */
  send_header(pair[0], SANDWIRE_TAG_BARRIER, 0, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* on a payload that is still incomplete */
  send_header(pair[0], SANDWIRE_TAG_BYTES, 1000, -1);
  send_raw(pair[0], "x", 1, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* none at all */
  send_header(pair[0], SANDWIRE_TAG_FD, 0, -1);
  CHECK_EQUAL(SANDWIRE_ERROR_NO_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* two headers, one fd, on the second */
  send_header(pair[0], SANDWIRE_TAG_FD, 0, -1);
  send_header(pair[0], SANDWIRE_TAG_FD, 0, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_NO_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* on the Fd header's chunk, but that continues with another message */
  put_header(bytes, SANDWIRE_TAG_FD, 0);
  put_header(bytes + 12, SANDWIRE_TAG_BARRIER, 0);
  send_raw(pair[0], bytes, 24, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_NO_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* one on each half of the header */
  put_header(bytes, SANDWIRE_TAG_FD, 0);
  send_raw(pair[0], bytes, 6, 0);
  send_raw(pair[0], bytes + 6, 6, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  make_pair(pair); /* an Fd message with a payload */
  send_header(pair[0], SANDWIRE_TAG_FD, 5, 0);
  CHECK_EQUAL(SANDWIRE_ERROR_BAD_LENGTH, drain(pair[1]).error);
  close(pair[0]), close(pair[1]);

  CHECK_EQUAL(before, count_open_fds());
}

static void a_flood_of_fds_is_closed(void) {
  size_t before = count_open_fds();
  static const size_t counts[] = {2, 10, 253};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    int pair[2];
    make_pair(pair);
    uint8_t header[SANDWIRE_HEADER_SIZE];
    put_header(header, SANDWIRE_TAG_FD, 0);
    union {
      char bytes[CMSG_SPACE(253 * sizeof(int))];
      struct cmsghdr alignment;
    } control = {{0}};
    struct iovec part = {.iov_base = header, .iov_len = sizeof header};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(counts[i] * sizeof(int))};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(counts[i] * sizeof(int));
    memset(CMSG_DATA(rights), 0, counts[i] * sizeof(int)); /* fd 0, repeated */
    REQUIRE(sendmsg(pair[0], &message, 0) == sizeof header);
    CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, drain(pair[1]).error);
    close(pair[0]);
    close(pair[1]);
  }
  CHECK_EQUAL(before, count_open_fds());
}

int main(void) {
  takes_many_messages_of_one_receive();
  takes_a_message_byte_by_byte();
  memory_follows_what_arrived();
  refuses_length_bombs();
  fds_belong_to_their_message();
  an_fd_header_may_come_in_parts();
  fds_may_come_wherever_a_receive_ends();
  random_streams_of_bytes_and_fds();
  misplaced_fds_fail_the_channel();
  a_flood_of_fds_is_closed();
  return report_checks();
}
