#include "transport.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "socket_io.h"

enum { STACK_MESSAGE_SIZE = 1024 }; /* header included: up to here copying is cheaper than a second iovec */

static int64_t now_ms(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
    return 0; /* cannot fail for this clock; then the deadline counts from 0 and is never reached */
  }
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sandwire_transport_begin(struct sandwire_comms *comms, const char *operation) {
  comms->operation = operation;
  comms->deadline_ms = comms->timeout_ms < 0 ? -1 : now_ms() + comms->timeout_ms;
}

enum sandwire_error sandwire_transport_fail(struct sandwire_comms *comms, enum sandwire_error error,
                                            const char *detail) {
  int saved_errno = errno;
  char system_error[48] = "";
  if (error == SANDWIRE_ERROR_SYSTEM) {
    /* Not strerror(): translated messages would be read from files, which a policy may forbid. */
#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 32)
    const char *name = strerrorname_np(saved_errno);
    (void)snprintf(system_error, sizeof system_error, " (errno %d %s)", saved_errno, name ? name : "");
#else
    (void)snprintf(system_error, sizeof system_error, " (errno %d)", saved_errno);
#endif
#else
    (void)snprintf(system_error, sizeof system_error, " (errno %d)", saved_errno);
#endif
  }
  (void)snprintf(comms->error_text, sizeof comms->error_text, "%s: %s: %s%s", comms->operation,
                 sandwire_error_name(error), detail ? detail : sandwire_strerror(error), system_error);
  errno = saved_errno;
  return error;
}

enum sandwire_error sandwire_transport_fail_receive(struct sandwire_comms *comms, enum sandwire_error error,
                                                    const char *detail) {
  comms->receive_failure = error;
  return sandwire_transport_fail(comms, error, detail);
}

/* SANDWIRE_OK, TIMEOUT, or SYSTEM. */
static enum sandwire_error wait_until_ready(const struct sandwire_comms *comms, short events) {
  for (;;) {
    int timeout = -1;
    if (comms->deadline_ms >= 0) {
      int64_t left = comms->deadline_ms - now_ms();
      timeout = left < 0 ? 0 : (int)left;
    }
    struct pollfd poll_fd = {.fd = comms->fd, .events = events};
    int ready = poll(&poll_fd, 1, timeout);
    if (ready > 0) {
      return SANDWIRE_OK; /* hang-ups too: the transfer itself says what happened */
    }
    if (ready == 0) {
      return SANDWIRE_ERROR_TIMEOUT;
    }
    if (errno != EINTR) {
      return SANDWIRE_ERROR_SYSTEM;
    }
  }
}

/* ---- Sending ---- */

static ssize_t write_some(const struct sandwire_comms *comms, const struct iovec *parts, size_t count) {
  ssize_t written;
  do {
    written = count == 1 ? write(comms->fd, parts[0].iov_base, parts[0].iov_len)
                         : writev(comms->fd, parts, (int)count);
  } while (written < 0 && errno == EINTR);
  return written < 0 ? -errno : written;
}

static size_t advance(struct iovec **parts, size_t count, size_t size) {
  while (count > 0 && size >= (*parts)->iov_len) {
    size -= (*parts)->iov_len;
    (*parts)++;
    count--;
  }
  if (count > 0) {
    (*parts)->iov_base = (char *)(*parts)->iov_base + size;
    (*parts)->iov_len -= size;
  }
  return count;
}

static enum sandwire_error fail_send(struct sandwire_comms *comms, enum sandwire_error error, bool is_cut) {
  if (error == SANDWIRE_ERROR_CLOSED) {
    comms->send_failure = error;
  } else if (is_cut) {
    comms->send_failure = SANDWIRE_ERROR_TRUNCATED;
  }
  return sandwire_transport_fail(comms, error, NULL);
}

static enum sandwire_error send_all(struct sandwire_comms *comms, struct iovec *parts, size_t count, int fd) {
  bool is_cut = false;
  int flags = comms->deadline_ms >= 0 ? MSG_DONTWAIT : 0;
  while (count > 0) {
    ssize_t sent;
    if (comms->uses_read_write && fd < 0) {
      enum sandwire_error error = flags ? wait_until_ready(comms, POLLOUT) : SANDWIRE_OK;
      if (error) {
        return fail_send(comms, error, is_cut);
      }
      sent = write_some(comms, parts, 1);
    } else {
      sent = sandwire_socket_send(comms->fd, parts, count, flags, fd);
    }
    if (sent >= 0) {
      count = advance(&parts, count, (size_t)sent);
      fd = sent > 0 ? -1 : fd; /* it went with the first byte */
      is_cut = is_cut || sent > 0;
      continue;
    }
    errno = (int)-sent;
    enum sandwire_error error = SANDWIRE_ERROR_SYSTEM;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      error = wait_until_ready(comms, POLLOUT);
    } else if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
      error = SANDWIRE_ERROR_CLOSED;
    }
    if (error) {
      return fail_send(comms, error, is_cut);
    }
  }
  return SANDWIRE_OK;
}

enum sandwire_error sandwire_transport_send_collected(struct sandwire_comms *comms) {
  if (comms->send_failure) {
    return sandwire_transport_fail(comms, comms->send_failure, "an earlier send had failed for good");
  }
  if (comms->collected_size == 0) {
    return SANDWIRE_OK;
  }
  struct iovec part = {.iov_base = comms->collected, .iov_len = comms->collected_size};
  enum sandwire_error error = send_all(comms, &part, 1, -1);
  if (error == SANDWIRE_OK || comms->send_failure) {
    comms->collected_size = 0;
  }
  return error; /* a timeout before the first byte: it may be tried again */
}

/* Whether the message is among the collected now; if not, *error says whether those before it are gone. */
static bool collect(struct sandwire_comms *comms, const uint8_t *header, const void *payload, size_t size,
                    int fd, enum sandwire_error *error) {
  bool is_small = fd < 0 && size <= SANDWIRE_CORK_SIZE - SANDWIRE_HEADER_SIZE;
  *error = SANDWIRE_OK;
  if (!is_small || SANDWIRE_CORK_SIZE - comms->collected_size < SANDWIRE_HEADER_SIZE + size) {
    *error = sandwire_transport_send_collected(comms);
  }
  if (!is_small || *error) {
    return false;
  }
  uint8_t *at = comms->collected + comms->collected_size;
  memcpy(at, header, SANDWIRE_HEADER_SIZE);
  if (size > 0) {
    memcpy(at + SANDWIRE_HEADER_SIZE, payload, size);
  }
  comms->collected_size += SANDWIRE_HEADER_SIZE + size;
  return true;
}

enum sandwire_error sandwire_transport_send(struct sandwire_comms *comms, uint32_t tag, const void *payload,
                                            size_t size, int fd) {
  if (comms->send_failure) {
    return sandwire_transport_fail(comms, comms->send_failure, "an earlier send had failed for good");
  }
  if (size > comms->payload_limit) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_TOO_LARGE, "the payload is above the limit");
  }
  uint8_t small[STACK_MESSAGE_SIZE];
  uint64_t length = size;
  memcpy(small, &tag, sizeof tag);
  memcpy(small + sizeof tag, &length, sizeof length);
  if (comms->is_corked) {
    enum sandwire_error error;
    if (collect(comms, small, payload, size, fd, &error) || error) {
      return error;
    }
  }
  struct iovec parts[2] = {{.iov_base = small, .iov_len = SANDWIRE_HEADER_SIZE}};
  size_t copied = size;
  if (size > sizeof small - SANDWIRE_HEADER_SIZE) {
    /* write() takes one buffer at a time, so there the first is filled up. */
    copied = comms->uses_read_write ? sizeof small - SANDWIRE_HEADER_SIZE : 0;
  }
  if (copied > 0) {
    memcpy(small + SANDWIRE_HEADER_SIZE, payload, copied);
    parts[0].iov_len += copied;
  }
  size_t count = 1;
  if (copied < size) {
    /* Only read from; struct iovec has no const form. */
    parts[1] = (struct iovec){.iov_base = (uint8_t *)(uintptr_t)payload + copied, .iov_len = size - copied};
    count = 2;
  }
  return send_all(comms, parts, count, fd);
}

/* ---- Receiving ---- */

static enum sandwire_error fail_at_end(struct sandwire_comms *comms) {
  bool is_cut = sandwire_reader_is_mid_message(&comms->reader);
  return sandwire_transport_fail_receive(comms, is_cut ? SANDWIRE_ERROR_TRUNCATED : SANDWIRE_ERROR_CLOSED,
                                         NULL);
}

/* One read() of no more than the next header or payload still lacks, so that no fd can come with a part of
 * it. */
static enum sandwire_error fill_by_read(struct sandwire_comms *comms, bool ancillary) {
  struct sandwire_reader *reader = &comms->reader;
  enum sandwire_error error = comms->deadline_ms >= 0 ? wait_until_ready(comms, POLLIN) : SANDWIRE_OK;
  if (error == SANDWIRE_OK) {
    error = (enum sandwire_error)sandwire_reader_make_room(reader);
  }
  if (error) {
    return error;
  }
  size_t room = reader->capacity - reader->end, missing = sandwire_reader_missing(reader);
  size_t size = missing < room ? missing : room;
  struct sandwire_arrived_fds arrived = {.count = 0};
  ssize_t received;
  if (ancillary) {
    received = sandwire_socket_receive_credentials(comms->fd, reader->buffer + reader->end, size, 0, &arrived,
                                                   &reader->credentials);
  } else {
    do {
      received = read(comms->fd, reader->buffer + reader->end, size);
    } while (received < 0 && errno == EINTR);
    received = received < 0 ? -errno : received;
  }
  return (enum sandwire_error)sandwire_reader_accept(reader, received, &arrived);
}

static enum sandwire_error fill(struct sandwire_comms *comms, bool ancillary) {
  if (comms->collected_size > 0) { /* most likely the peer waits for it */
    enum sandwire_error error = sandwire_transport_send_collected(comms);
    if (error &&
        error != SANDWIRE_ERROR_CLOSED) { /* what a peer sent before it closed can still be received */
      return error;
    }
  }
  for (;;) {
    enum sandwire_error error;
    if (comms->uses_read_write) {
      error = fill_by_read(comms, ancillary);
    } else {
      int flags = comms->deadline_ms >= 0 ? MSG_DONTWAIT : 0;
      error = (enum sandwire_error)sandwire_reader_fill(&comms->reader, comms->fd, flags);
    }
    if (error == SANDWIRE_OK) {
      return SANDWIRE_OK;
    }
    if (error == SANDWIRE_ERROR_SYSTEM && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      error = wait_until_ready(comms, POLLIN);
      if (error == SANDWIRE_OK) {
        continue;
      }
    }
    if (error == SANDWIRE_ERROR_CLOSED || (error == SANDWIRE_ERROR_SYSTEM && errno == ECONNRESET)) {
      return fail_at_end(comms);
    }
    if (error == SANDWIRE_ERROR_SURPLUS_FD || (error == SANDWIRE_ERROR_SYSTEM && errno == EMFILE)) {
      return sandwire_transport_fail_receive(comms, error, NULL); /* bytes, or an fd, are lost */
    }
    return sandwire_transport_fail(comms, error, NULL); /* a timeout, no memory: it may be tried again */
  }
}

enum sandwire_error sandwire_transport_await_header(struct sandwire_comms *comms, bool ancillary,
                                                    uint32_t *tag, size_t *length) {
  if (comms->receive_failure) {
    return sandwire_transport_fail(comms, comms->receive_failure, NULL);
  }
  for (;;) {
    uint64_t promised = 0;
    int peeked = sandwire_reader_peek_header(&comms->reader, tag, &promised);
    if (peeked > 0) {
      *length = (size_t)promised;
      return SANDWIRE_OK;
    }
    if (peeked < 0) {
      const char *detail =
          peeked == -SANDWIRE_ERROR_TOO_LARGE ? "the peer promises more than the limit" : NULL;
      return sandwire_transport_fail_receive(comms, (enum sandwire_error) - peeked, detail);
    }
    enum sandwire_error error = fill(comms, ancillary);
    if (error) {
      return error;
    }
  }
}

enum sandwire_error sandwire_transport_await_message(struct sandwire_comms *comms) {
  while (sandwire_reader_missing(&comms->reader) > 0) {
    if (sandwire_reader_has_stray_fd(&comms->reader)) {
      return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SURPLUS_FD, NULL);
    }
    enum sandwire_error error = fill(comms, false);
    if (error) {
      return error;
    }
  }
  return SANDWIRE_OK;
}

enum sandwire_error sandwire_transport_take(struct sandwire_comms *comms, struct sandwire_message *message) {
  int taken = sandwire_reader_next(&comms->reader, message);
  if (taken == 1) {
    return SANDWIRE_OK;
  }
  /* 0 cannot be: the caller has awaited the whole message. */
  enum sandwire_error error = taken < 0 ? (enum sandwire_error) - taken : SANDWIRE_ERROR_BAD_LENGTH;
  return sandwire_transport_fail_receive(comms, error, NULL);
}

enum sandwire_error sandwire_transport_receive_directly(struct sandwire_comms *comms, void *buffer,
                                                        size_t size, size_t *received) {
  for (;;) {
    struct sandwire_arrived_fds arrived = {.count = 0};
    ssize_t got;
    if (comms->uses_read_write) {
      do {
        got = read(comms->fd, buffer, size);
      } while (got < 0 && errno == EINTR);
      got = got < 0 ? -errno : got;
    } else {
      got = sandwire_socket_receive(comms->fd, buffer, size, 0, &arrived);
    }
    for (size_t i = 0; i < arrived.count; i++) {
      sandwire_reader_discard(&comms->reader, arrived.fds[i]);
    }
    if (got > 0 && arrived.count > 0) { /* in the middle of a payload */
      return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SURPLUS_FD, NULL);
    }
    if (got > 0) {
      *received = (size_t)got;
      return SANDWIRE_OK;
    }
    if (got == 0 || got == -ECONNRESET) {
      return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_TRUNCATED, NULL);
    }
    errno = (int)-got;
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || wait_until_ready(comms, POLLIN) != SANDWIRE_OK) {
      return sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_SYSTEM, NULL);
    }
  }
}
