#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "events.h"
#include "fork/fork_server.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "protobuf.h"
#include "reader.h"
#include "run/questions.h"
#include "run/run.h"
#include "sandwire/wire.generated.h"
#include "socket_io.h"
#include "start_request.h"

/* A policy of 4,096 instructions is 32 KiB; arguments and environment may be as long as execve(2) takes them. */
enum { REQUEST_LIMIT = 8 * 1024 * 1024 };

static struct watch control = {.fd = -1};
static struct sandwire_reader reader;
static struct start_request *awaiting_fds; /* its Fd messages are still coming */
static uint64_t awaiting_listener;         /* the run whose listener comes next; 0: none */
static unsigned char *outgoing;
static size_t outgoing_size, outgoing_capacity;
static bool awaiting_room; /* the socket took less than there was */
static struct deadline held;

/* What waits for the host beyond that is not made larger by choice. */
enum { ENOUGH_WAITING = 64 * 1024, KEPT_CAPACITY = 256 * 1024 };
static const uint64_t hold_ns = 5000000u;

/* The host is gone, or has spoken nonsense: there is nobody left to run anything for. The loop goes on until all is
 * reaped, so that nothing is left to the machine's init, which may take its time. */
static void give_up(void) {
  event_loop_close(&control);
  start_request_destroy(awaiting_fds);
  awaiting_fds = NULL;
  run_end_all(event_loop_stop);
}

/* Sending has failed. Not the place to end runs: one of them may be sending right now. The event loop sees the end
 * of the channel next. */
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

/* False: there is nobody to send it to. */
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

static uint64_t run_number_in(const struct sandwire_protobuf_field *message, uint32_t second, uint64_t *value) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  uint64_t run = 0;
  sandwire_protobuf_reader_init(&fields, message->bytes, message->size);
  while (sandwire_protobuf_next(&fields, &field)) {
    if (field.number == SANDWIRE_KILL_REQUEST_RUN) { /* field 1 of every request */
      run = field.value;
    } else if (field.number == second && value != NULL) {
      *value = field.value;
    }
  }
  return run;
}

static void take_start(const struct sandwire_protobuf_field *message) {
  const char *reason = NULL;
  uint64_t run = 0;
  awaiting_fds = start_request_parse(message->bytes, message->size, &run, &reason);
  if (awaiting_fds == NULL) {
    events_send_refused(run, reason);
    give_up(); /* the fds that follow belong to nothing: the stream has lost its sense */
  }
}

static void take_answer(const struct sandwire_protobuf_field *message) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  struct answer answer = {.kind = SANDWIRE_ANSWER_DENY};
  uint64_t run = 0, question = 0;
  sandwire_protobuf_reader_init(&fields, message->bytes, message->size);
  while (sandwire_protobuf_next(&fields, &field)) {
    switch (field.number) {
      case SANDWIRE_ANSWER_REQUEST_RUN:
        run = field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_QUESTION:
        question = field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_KIND:
        answer.kind = (int)field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_ERRNO:
        answer.error = (int)field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_VALUE:
        answer.value = (int64_t)field.value;
        break;
    }
  }
  questions_answer(run, question, &answer);
}

static void take_request(const struct sandwire_message *message) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&fields, message->payload, message->length);
  if (!sandwire_protobuf_next(&fields, &field) || field.wire_type != 2) {
    give_up();
    return;
  }
  uint64_t walltime_ms = 0;
  uint64_t run;
  switch (field.number) {
    case SANDWIRE_REQUEST_START:
      take_start(&field);
      break;
    case SANDWIRE_REQUEST_KILL:
      run = run_number_in(&field, 0, NULL);
      run_kill(run);
      fork_server_kill(run);
      break;
    case SANDWIRE_REQUEST_SET_WALLTIME:
      run = run_number_in(&field, SANDWIRE_SET_WALLTIME_REQUEST_WALLTIME_MS, &walltime_ms);
      run_set_walltime(run, walltime_ms);
      break;
    case SANDWIRE_REQUEST_ATTACH_LISTENER:
      awaiting_listener = run_number_in(&field, 0, NULL);
      break;
    case SANDWIRE_REQUEST_ANSWER:
      take_answer(&field);
      break;
    default:
      give_up();
      break;
  }
}

static void take_fd(int fd) {
  if (awaiting_listener != 0) {
    uint64_t run = awaiting_listener;
    awaiting_listener = 0;
    run_attach_listener(run, fd);
    return;
  }
  if (awaiting_fds == NULL) {
    close(fd);
    give_up();
    return;
  }
  awaiting_fds->fds[awaiting_fds->fds_received++] = fd;
  if (awaiting_fds->fds_received == start_request_given(awaiting_fds)) {
    struct start_request *request = awaiting_fds;
    awaiting_fds = NULL;
    if (request->mode != SANDWIRE_FORK_SERVER) {
      run_start(request);
    } else if (start_request_open_null(request) == 0) {
      fork_server_start(request);
    } else {
      events_send_refused(request->run, errno == ENOENT || errno == EACCES ? "/dev/null cannot be opened"
                                                                           : "the supervisor has no fds left");
      start_request_destroy(request);
    }
  }
}

static void take_messages(void) {
  struct sandwire_message message;
  int result = 1;
  while (control.fd >= 0 && (result = sandwire_reader_next(&reader, &message)) == 1) {
    bool fd_due = awaiting_fds != NULL || awaiting_listener != 0;
    if (message.tag == SANDWIRE_TAG_FD && fd_due) {
      take_fd(message.fd);
    } else if (message.tag == SANDWIRE_TAG_PROTO2 && !fd_due) {
      take_request(&message);
    } else {
      if (message.fd >= 0) {
        close(message.fd);
      }
      result = -1;
      break;
    }
  }
  if (result < 0 && control.fd >= 0) {
    give_up();
  }
}

static void on_control(struct watch *watch, uint32_t events) {
  if (events & EPOLLOUT) {
    send_outgoing();
    if (control_has_room()) {
      run_all_host_has_room();
    }
  }
  if (control.fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
    return;
  }
  int result = sandwire_reader_fill(&reader, watch->fd, MSG_DONTWAIT);
  if (result == SANDWIRE_ERROR_SYSTEM && errno == EAGAIN) {
    return;
  }
  if (result != SANDWIRE_OK) {
    give_up();
    return;
  }
  take_messages();
}

int control_open(int socket) {
  sandwire_reader_init(&reader, REQUEST_LIMIT);
  return event_loop_add(&control, socket, EPOLLIN, on_control);
}
