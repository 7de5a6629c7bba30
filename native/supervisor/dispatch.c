#include "dispatch.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "fork/fork_server.h"
#include "loop/closing.h"
#include "protobuf.h"
#include "request/start_request.h"
#include "request/unknown.h"
#include "run/events.h"
#include "run/notifications.h"
#include "run/run.h"
#include "sandwire/wire.generated.h"

static struct start_request *awaiting_fds; /* its Fd messages are still coming */
static uint64_t awaiting_listener;         /* the run whose listener comes next; 0: none */

static const char no_fds_left[] =
    "no file descriptors are left; raise the hard limit of open files (ulimit -Hn), or have fewer runs at "
    "once";

/* An fd that still comes for it is closed. */
static void refuse_awaiting(const char *reason) {
  events_send_refused(awaiting_fds->run, reason);
  start_request_destroy(awaiting_fds);
  awaiting_fds = NULL;
}

/* Of a request that is not known otherwise; 0: it has none. */
static uint64_t run_number_in(const struct sandwire_protobuf_field *message) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&fields, message->bytes, message->size);
  const bool is_known = sandwire_protobuf_next(&fields, &field) && field.number == SANDWIRE_KILL_REQUEST_RUN;
  return is_known ? field.value : 0;
}

/* The fields of a request that has the run and at most one more, second; 0: none. False: refused. */
static bool take_fields(const char *name, const struct sandwire_protobuf_field *message, uint32_t second,
                        uint64_t *run, uint64_t *value) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  const char *reason = NULL;
  *run = 0;
  sandwire_protobuf_reader_init(&fields, message->bytes, message->size);
  while (reason == NULL && sandwire_protobuf_next(&fields, &field)) {
    if (field.number == SANDWIRE_KILL_REQUEST_RUN) { /* field 1 of every request */
      *run = field.value;
    } else if (second != 0 && field.number == second) {
      *value = field.value;
    } else {
      reason = unknown_field(name, field.number);
    }
  }
  if (reason != NULL) {
    events_send_refused(*run, reason);
  }
  return reason == NULL;
}

static void take_start(const struct sandwire_protobuf_field *message) {
  const char *reason = NULL;
  uint64_t run = 0;
  awaiting_fds = start_request_parse(message->bytes, message->size, &run, &reason);
  if (awaiting_fds == NULL) {
    events_send_refused(run, reason);
  }
}

static void take_answer(const struct sandwire_protobuf_field *message) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  struct answer answer = {.kind = SANDWIRE_ANSWER_DENY};
  uint64_t run = 0, question = 0;
  const char *reason = NULL;
  sandwire_protobuf_reader_init(&fields, message->bytes, message->size);
  while (reason == NULL && sandwire_protobuf_next(&fields, &field)) {
    switch (field.number) {
      case SANDWIRE_ANSWER_REQUEST_RUN:
        run = field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_QUESTION:
        question = field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_KIND:
        answer.kind = (int)field.value;
        reason = field.value > SANDWIRE_ANSWER_VALUE ? unknown_value("AnswerKind", field.value) : NULL;
        break;
      case SANDWIRE_ANSWER_REQUEST_ERRNO:
        answer.error = (int)field.value;
        break;
      case SANDWIRE_ANSWER_REQUEST_VALUE:
        answer.value = (int64_t)field.value;
        break;
      default:
        reason = unknown_field("AnswerRequest", field.number);
    }
  }
  if (reason != NULL) {
    events_send_refused(run, reason);
    return;
  }
  notifications_answer(run, question, &answer);
}

void dispatch_message(const uint8_t *bytes, size_t size) {
  if (awaiting_fds != NULL) {
    refuse_awaiting("not all of its file descriptors came");
  }
  awaiting_listener = 0; /* a run without it is ended by the host, or by its wall time */
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&fields, bytes, size);
  if (!sandwire_protobuf_next(&fields, &field) || field.wire_type != 2) {
    events_send_refused(0, "a malformed request");
    return;
  }
  uint64_t run, walltime_ms = 0;
  switch (field.number) {
    case SANDWIRE_REQUEST_START:
      take_start(&field);
      break;
    case SANDWIRE_REQUEST_KILL:
      if (take_fields("KillRequest", &field, 0, &run, NULL)) {
        run_kill(run);
        fork_server_kill(run);
      }
      break;
    case SANDWIRE_REQUEST_SET_WALLTIME:
      if (take_fields("SetWalltimeRequest", &field, SANDWIRE_SET_WALLTIME_REQUEST_WALLTIME_MS, &run,
                      &walltime_ms)) {
        run_set_walltime(run, walltime_ms);
      }
      break;
    case SANDWIRE_REQUEST_ATTACH_LISTENER:
      if (take_fields("AttachListenerRequest", &field, 0, &run, NULL)) {
        awaiting_listener = run;
      }
      break;
    case SANDWIRE_REQUEST_ANSWER:
      take_answer(&field);
      break;
    default:
      events_send_refused(run_number_in(&field), unknown_field("Request", field.number));
      break;
  }
}

static void start(struct start_request *request) {
  if (request->mode != SANDWIRE_FORK_SERVER) {
    run_start(request);
  } else if (start_request_open_null(request) == 0) {
    fork_server_start(request);
  } else {
    events_send_refused(request->run,
                        errno == EMFILE || errno == ENFILE ? no_fds_left : "/dev/null cannot be opened");
    start_request_destroy(request);
  }
}

void dispatch_fd(int fd) {
  if (awaiting_listener != 0) {
    uint64_t run = awaiting_listener;
    awaiting_listener = 0;
    run_attach_listener(run, fd);
  } else if (awaiting_fds == NULL) {
    close_foreign(&fd, 1); /* of a request that was refused */
  } else if (fd < 0) {
    refuse_awaiting(no_fds_left);
  } else {
    awaiting_fds->fds[awaiting_fds->fds_received++] = fd;
    if (awaiting_fds->fds_received == start_request_given(awaiting_fds)) {
      struct start_request *request = awaiting_fds;
      awaiting_fds = NULL;
      start(request);
    }
  }
}

void dispatch_too_long(const uint8_t *beginning, size_t size) {
  if (awaiting_fds != NULL) {
    refuse_awaiting("not all of its file descriptors came");
  }
  /* Two varints, what kind of request it is and how long, stand in front of its fields, of which the run is
   * the first. */
  size_t at = 0;
  for (int varints = 0; varints < 2; varints++) {
    while (at < size && (beginning[at++] & 0x80) != 0) {
    }
  }
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&fields, beginning + at, size - at);
  const bool is_told = sandwire_protobuf_next(&fields, &field) && field.number == SANDWIRE_KILL_REQUEST_RUN;
  events_send_refused(is_told ? field.value : 0, "a request of more bytes than are taken");
}

void dispatch_forget(void) {
  start_request_destroy(awaiting_fds);
  awaiting_fds = NULL;
}
