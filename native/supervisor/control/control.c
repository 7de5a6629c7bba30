#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host_thread.h"
#include "loop/closing.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "reader.h"
#include "sandwire/wire.generated.h"
#include "socket_io.h"

static struct watch control = {.fd = -1};
static const struct control_callbacks *callbacks;
static struct sandwire_reader reader;
static uint64_t to_pass_over; /* bytes of a message that is too long to be read */
static int reserve = -1;      /* a number for the next fd */
static unsigned char *outgoing;
static size_t outgoing_size, outgoing_capacity;
static bool awaiting_room; /* the socket took less than there was */
static struct deadline held;

/* Beyond that nothing is added that can wait. */
enum { ENOUGH_WAITING = 64 * 1024, KEPT_CAPACITY = 256 * 1024 };
static const uint64_t hold_ns = 5000000u;

/* An fd for which the process has no number left is lost, with the bytes that came with it (scm_detach_fds()
 * in the kernel's scm.c), and a stream with a hole is of no use. So one number is kept for whatever comes
 * next. */
static bool hold_reserve(void) {
  if (reserve < 0) {
    reserve = fcntl(control.fd, F_DUPFD_CLOEXEC, 0);
  }
  return reserve >= 0;
}

static void release_reserve(void) {
  if (reserve >= 0) {
    close(reserve);
    reserve = -1;
  }
}

static void give_up(void) {
  event_loop_close(&control);
  release_reserve();
  callbacks->closed();
}

/* Sending has failed. Runs are not ended here: one of them may be sending right now. The event loop sees the
 * end of the channel next. */
static void break_off(void) {
  outgoing_size = 0;
  shutdown(control.fd, SHUT_RDWR);
}

static void send_outgoing(void) {
  deadline_clear(&held);
  while (outgoing_size > 0) {
    struct iovec part = {outgoing, outgoing_size};
    ssize_t sent = sandwire_socket_send(control.fd, &part, 1, MSG_DONTWAIT, -1);
    if (sent < 0) {
      if (sent == -EAGAIN) {
        break;
      }
      break_off();
      return;
    }
    outgoing_size -= (size_t)sent;
    memmove(outgoing, outgoing + sent, outgoing_size);
  }
  if (outgoing_size == 0 && outgoing_capacity > KEPT_CAPACITY) {
    free(outgoing);
    outgoing = NULL;
    outgoing_capacity = 0;
  }
  if (awaiting_room != (outgoing_size > 0)) {
    awaiting_room = outgoing_size > 0;
    event_loop_change(&control, awaiting_room ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

/* False: the host is gone. */
static bool queue(const void *event, size_t size) {
  if (control.fd < 0) {
    return false;
  }
  const uint32_t tag = SANDWIRE_TAG_PROTO2;
  const uint64_t length = size;
  size_t needed = outgoing_size + SANDWIRE_HEADER_SIZE + size;
  if (needed > outgoing_capacity) {
    size_t capacity = needed < 4096 ? 4096 : needed * 2;
    unsigned char *grown = realloc(outgoing, capacity);
    if (grown == NULL) {
      break_off();
      return false;
    }
    outgoing = grown;
    outgoing_capacity = capacity;
  }
  memcpy(outgoing + outgoing_size, &tag, sizeof(tag));
  memcpy(outgoing + outgoing_size + sizeof(tag), &length, sizeof(length));
  memcpy(outgoing + outgoing_size + SANDWIRE_HEADER_SIZE, event, size);
  outgoing_size = needed;
  return true;
}

bool control_has_room(void) {
  return outgoing_size < ENOUGH_WAITING;
}

void control_send_event(const void *event, size_t size) {
  if (queue(event, size)) {
    send_outgoing();
  }
}

static void on_held_long_enough(struct deadline *deadline) {
  (void)deadline;
  if (control.fd >= 0) {
    send_outgoing();
  }
}

void control_hold_event(const void *event, size_t size) {
  if (queue(event, size) && held.place == 0 &&
      deadline_set(&held, monotonic_now_ns() + hold_ns, on_held_long_enough) != 0) {
    send_outgoing();
  }
}

/* ---- what is received ---- */

/* The next message is too long to be read: hands its beginning on. 1, 0 if more bytes are needed, or -1 if it
 * is nonsense. */
static int begin_passing_over(void) {
  uint32_t tag = 0;
  uint64_t length = 0;
  (void)sandwire_reader_peek_header(&reader, &tag, &length);
  if (tag != SANDWIRE_TAG_PROTO2 || length > SANDWIRE_MAX_PAYLOAD) {
    return -1;
  }
  if (reader.end - reader.start < SANDWIRE_HEADER_SIZE + CONTROL_BEGINNING) {
    return 0;
  }
  callbacks->too_long(reader.buffer + reader.start + SANDWIRE_HEADER_SIZE, CONTROL_BEGINNING);
  to_pass_over = SANDWIRE_HEADER_SIZE + length;
  return 1;
}

/* As above. */
static int pass_over(void) {
  const size_t there = reader.end - reader.start;
  const size_t size = to_pass_over < there ? (size_t)to_pass_over : there;
  if (reader.pending_fd >= 0 && reader.pending_end <= reader.start + size) {
    return -1;
  }
  sandwire_reader_skip(&reader, size);
  to_pass_over -= size;
  return to_pass_over == 0;
}

static int take_message(void) {
  if (to_pass_over > 0) {
    return pass_over();
  }
  struct sandwire_message message;
  int result = sandwire_reader_next(&reader, &message);
  if (result == -SANDWIRE_ERROR_TOO_LARGE) {
    return begin_passing_over();
  }
  if (result != 1) {
    return result;
  }
  if (message.tag == SANDWIRE_TAG_FD) {
    if (!hold_reserve()) { /* this fd took the last number, which is needed for the next one */
      close(message.fd);
      message.fd = -1;
      (void)hold_reserve();
    }
    callbacks->fd(message.fd);
  } else if (message.tag == SANDWIRE_TAG_PROTO2) {
    callbacks->message(message.payload, message.length);
  } else {
    close_foreign(&message.fd, 1);
    return -1;
  }
  return 1;
}

static void on_control(struct watch *watch, uint32_t events) {
  if (events & EPOLLOUT) {
    send_outgoing();
    if (control_has_room()) {
      callbacks->has_room();
    }
  }
  if (control.fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
    return;
  }
  release_reserve();
  int result = sandwire_reader_fill(&reader, watch->fd, MSG_DONTWAIT);
  const bool none = result == SANDWIRE_ERROR_SYSTEM && errno == EAGAIN;
  (void)hold_reserve(); /* if it fails, an fd has been received: see take_message() */
  if (none) {
    return;
  }
  if (result != SANDWIRE_OK) {
    give_up();
    return;
  }
  while (control.fd >= 0 && (result = take_message()) == 1) {
  }
  if (result < 0 && control.fd >= 0) {
    give_up();
  }
}

int control_open(int socket, const struct control_callbacks *by) {
  callbacks = by;
  sandwire_reader_init(&reader, SANDWIRE_REQUEST_LIMIT);
  return event_loop_add(&control, socket, EPOLLIN, on_control) != 0 || !hold_reserve() ||
                 host_thread_watch(break_off) != 0
             ? -1
             : 0;
}
