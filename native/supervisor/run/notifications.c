#include "notifications.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "control/control.h"
#include "events.h"
#include "filter_evaluation.h"
#include "listener.h"
#include "loop/deadlines.h"
#include "monitor.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"

enum {
  MAX_NOTIFIED_CALLS = 1024 /* of one run; each is a thread of it that waits */
};

/* The search for calls whose thread is gone costs a syscall each. */
static const uint64_t sweep_pause_ns = 100000000u;

struct notified_call {
  struct deadline deadline;
  struct notified_call *next;
  struct run *run;
  struct seccomp_notif notification;
  struct memory_reading reading;
  bool begun; /* its arguments are being read, or the host was asked */
};

bool notifications_are_for_host(const struct run *run, const struct seccomp_data *data) {
  const struct start_request *request = run->request;
  return request->asks_host && filter_evaluate(request->policy, request->policy_count, data) ==
                                   (SECCOMP_RET_USER_NOTIF | SANDWIRE_NOTIFICATION_NOTIFY);
}

static void forget(struct notified_call *call) {
  struct notified_call **link = &call->run->notified_calls;
  while (*link != call) {
    link = &(*link)->next;
  }
  *link = call->next;
  call->run->notified_call_count--;
  if (call->run->call_being_read == call) {
    call->run->call_being_read = NULL;
  }
  deadline_clear(&call->deadline);
  memory_reading_cancel(&call->reading);
  free(call);
}

void notifications_drop(struct run *run) {
  while (run->notified_calls != NULL) {
    forget(run->notified_calls);
  }
}

/* The call does not happen, and the run ends. Frees `call`, and may free the run. */
static void deny(struct notified_call *call, int cause) {
  struct run *run = call->run;
  const struct seccomp_notif notification = call->notification;
  forget(call);
  if (listener_still_waits(run->listener.fd, notification.id)) {
    monitor_violate(run, &notification, cause);
  }
}

static void on_no_answer(struct deadline *deadline) {
  deny((struct notified_call *)deadline, SANDWIRE_CAUSE_NO_ANSWER); /* its first member */
}

/* The host is asked, and its time begins. */
static void on_memory_read(struct memory_reading *reading, const struct argument_memory memory[6]) {
  static struct violation description;
  struct notified_call *call =
      (struct notified_call *)((char *)reading - offsetof(struct notified_call, reading));
  struct run *run = call->run;
  run->call_being_read = NULL;
  violation_read(&description, run->listener.fd, &call->notification, run->sandboxee.pid);
  /* Asked after all reading: if the thread has not waited all the time, this was another's memory. */
  if (!listener_still_waits(run->listener.fd, call->notification.id)) {
    forget(call);
    notifications_go_on(run);
  } else if (deadline_set(&call->deadline, monotonic_now_ns() + run->request->answer_timeout_ms * 1000000u,
                          on_no_answer) != 0) {
    deny(call, SANDWIRE_CAUSE_TOO_MANY);
  } else {
    events_send_asked(run->request->run, call->notification.id, &description, memory);
    notifications_go_on(run);
  }
}

static bool is_gone(const struct notified_call *call) {
  return !listener_still_waits(call->run->listener.fd, call->notification.id);
}

static struct notified_call *longest_waiting(const struct run *run) {
  struct notified_call *found = NULL;
  for (struct notified_call *call = run->notified_calls; call != NULL; call = call->next) {
    found = call->begun ? found : call; /* the newest comes first */
  }
  return found;
}

void notifications_go_on(struct run *run) {
  struct notified_call *call;
  while (run->call_being_read == NULL && control_has_room() && (call = longest_waiting(run)) != NULL) {
    if (is_gone(call)) {
      forget(call);
      continue;
    }
    call->begun = true;
    if (!memory_reader_read(&run->reader, &call->reading)) {
      deny(call, SANDWIRE_CAUSE_TOO_MANY);
      return;
    }
    run->call_being_read = call;
  }
}

/* Threads that wait may be killed, and others made in their place. */
static void sweep(struct run *run) {
  const uint64_t now = monotonic_now_ns();
  if (now - run->notified_calls_swept_ns < sweep_pause_ns) {
    return;
  }
  run->notified_calls_swept_ns = now;
  struct notified_call *next;
  for (struct notified_call *call = run->notified_calls; call != NULL; call = next) {
    next = call->next;
    if (is_gone(call)) {
      forget(call);
    }
  }
}

int notifications_ask(struct run *run, const struct seccomp_notif *notification) {
  if (run->notified_call_count == MAX_NOTIFIED_CALLS) {
    sweep(run);
  }
  struct notified_call *call =
      run->notified_call_count == MAX_NOTIFIED_CALLS ? NULL : calloc(1, sizeof(*call));
  if (call == NULL) {
    return SANDWIRE_CAUSE_TOO_MANY;
  }
  call->run = run;
  call->notification = *notification;
  call->reading.done = on_memory_read;
  call->reading.tid = (pid_t)notification->pid;
  call->reading.size = ARGUMENT_MEMORY_SIZE;
  memcpy(call->reading.addresses, notification->data.args, sizeof(call->reading.addresses));
  call->next = run->notified_calls;
  run->notified_calls = call;
  run->notified_call_count++;
  notifications_go_on(run);
  return 0;
}

void notifications_answer(uint64_t number, uint64_t id, const struct answer *answer) {
  struct run *run = run_find(number);
  struct notified_call *call = run == NULL ? NULL : run->notified_calls;
  while (call != NULL && call->notification.id != id) {
    call = call->next;
  }
  if (call == NULL) {
    return;
  }
  struct seccomp_notif_resp response;
  memset(&response, 0, sizeof(response));
  response.id = id;
  switch (answer->kind) {
    case SANDWIRE_ANSWER_ALLOW:
      response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
      break;
    case SANDWIRE_ANSWER_ERRNO:
      response.error = -answer->error;
      break;
    case SANDWIRE_ANSWER_VALUE:
      response.val = answer->value;
      break;
    default:
      deny(call, SANDWIRE_CAUSE_HOST);
      return;
  }
  /* ENOENT: the thread is gone, and with it the call. */
  if (ioctl(run->listener.fd, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0 && errno != ENOENT) {
    deny(call, SANDWIRE_CAUSE_HOST);
    return;
  }
  forget(call);
}
