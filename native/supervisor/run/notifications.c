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
  MAX_NOTIFIED_CALLS = 1024 /* of one run; each is a thread of it that stands still */
};

/* To look for those whose thread is gone costs a syscall each. */
static const uint64_t sweep_pause_ns = 100000000u;

struct notified_call {
  struct deadline deadline;
  struct notified_call *next;
  struct run *run;
  struct seccomp_notif notification;
  struct memory_reading reading;
  bool begun; /* it is being read, or the host was told */
};

bool notifications_are_for_host(const struct run *run, const struct seccomp_data *data) {
  const struct start_request *request = run->request;
  return request->asks_host && filter_evaluate(request->policy, request->policy_count, data) ==
                                   (SECCOMP_RET_USER_NOTIF | SANDWIRE_NOTIFICATION_NOTIFY);
}

static void forget(struct notified_call *question) {
  struct notified_call **link = &question->run->notified_calls;
  while (*link != question) {
    link = &(*link)->next;
  }
  *link = question->next;
  question->run->notified_call_count--;
  if (question->run->call_being_read == question) {
    question->run->call_being_read = NULL;
  }
  deadline_clear(&question->deadline);
  memory_reading_cancel(&question->reading);
  free(question);
}

void notifications_drop(struct run *run) {
  while (run->notified_calls != NULL) {
    forget(run->notified_calls);
  }
}

/* The call does not happen, and the run ends. Frees the question, and may free the run. */
static void deny(struct notified_call *question, int cause) {
  struct run *run = question->run;
  const struct seccomp_notif notification = question->notification;
  forget(question);
  if (listener_still_waits(run->listener.fd, notification.id)) {
    monitor_violate(run, &notification, cause);
  }
}

static void on_no_answer(struct deadline *deadline) {
  deny((struct notified_call *)deadline, SANDWIRE_CAUSE_NO_ANSWER); /* its first member */
}

/* The host is told, and has its time from now on. */
static void on_memory_read(struct memory_reading *reading, const struct argument_memory memory[6]) {
  static struct violation call;
  struct notified_call *question =
      (struct notified_call *)((char *)reading - offsetof(struct notified_call, reading));
  struct run *run = question->run;
  run->call_being_read = NULL;
  violation_read(&call, run->listener.fd, &question->notification, run->sandboxee.pid);
  /* After all reading it says whether the thread has stood there all the time: if not, this was another's
   * memory. */
  if (!listener_still_waits(run->listener.fd, question->notification.id)) {
    forget(question);
    notifications_go_on(run);
  } else if (deadline_set(&question->deadline,
                          monotonic_now_ns() + run->request->answer_timeout_ms * 1000000u,
                          on_no_answer) != 0) {
    deny(question, SANDWIRE_CAUSE_TOO_MANY);
  } else {
    events_send_asked(run->request->run, question->notification.id, &call, memory);
    notifications_go_on(run);
  }
}

static bool is_gone(const struct notified_call *question) {
  return !listener_still_waits(question->run->listener.fd, question->notification.id);
}

static struct notified_call *longest_waiting(const struct run *run) {
  struct notified_call *found = NULL;
  for (struct notified_call *question = run->notified_calls; question != NULL; question = question->next) {
    found = question->begun ? found : question; /* the newest comes first */
  }
  return found;
}

void notifications_go_on(struct run *run) {
  struct notified_call *question;
  while (run->call_being_read == NULL && control_has_room() && (question = longest_waiting(run)) != NULL) {
    if (is_gone(question)) {
      forget(question);
      continue;
    }
    question->begun = true;
    if (!memory_reader_read(&run->reader, &question->reading)) {
      deny(question, SANDWIRE_CAUSE_TOO_MANY);
      return;
    }
    run->call_being_read = question;
  }
}

/* Threads that ask may be killed, and others made in their place. */
static void sweep(struct run *run) {
  const uint64_t now = monotonic_now_ns();
  if (now - run->notified_calls_swept_ns < sweep_pause_ns) {
    return;
  }
  run->notified_calls_swept_ns = now;
  struct notified_call *next;
  for (struct notified_call *question = run->notified_calls; question != NULL; question = next) {
    next = question->next;
    if (is_gone(question)) {
      forget(question);
    }
  }
}

int notifications_ask(struct run *run, const struct seccomp_notif *notification) {
  if (run->notified_call_count == MAX_NOTIFIED_CALLS) {
    sweep(run);
  }
  struct notified_call *question =
      run->notified_call_count == MAX_NOTIFIED_CALLS ? NULL : calloc(1, sizeof(*question));
  if (question == NULL) {
    return SANDWIRE_CAUSE_TOO_MANY;
  }
  question->run = run;
  question->notification = *notification;
  question->reading.done = on_memory_read;
  question->reading.tid = (pid_t)notification->pid;
  question->reading.size = ARGUMENT_MEMORY_SIZE;
  memcpy(question->reading.addresses, notification->data.args, sizeof(question->reading.addresses));
  question->next = run->notified_calls;
  run->notified_calls = question;
  run->notified_call_count++;
  notifications_go_on(run);
  return 0;
}

void notifications_answer(uint64_t number, uint64_t id, const struct answer *answer) {
  struct run *run = run_find(number);
  struct notified_call *question = run == NULL ? NULL : run->notified_calls;
  while (question != NULL && question->notification.id != id) {
    question = question->next;
  }
  if (question == NULL) {
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
      deny(question, SANDWIRE_CAUSE_HOST);
      return;
  }
  /* ENOENT: the thread is gone, and with it the call. */
  if (ioctl(run->listener.fd, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0 && errno != ENOENT) {
    deny(question, SANDWIRE_CAUSE_HOST);
    return;
  }
  forget(question);
}
