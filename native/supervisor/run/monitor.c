#include "monitor.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "entry/limits.h"
#include "listener.h"
#include "loop/closing.h"
#include "notifications.h"
#include "run.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"

/* The program begins: before it runs on, so that the host, if it waits, knows it first. */
static void send_sandboxed(struct run *run, bool is_awaited) {
  stack_trace_watch(run);
  events_send_sandboxed(run->request->run, run->sandboxee.pid, sandbox_init(run->sandbox), is_awaited);
}

static void on_launch(struct run *run, const struct seccomp_notif *notification) {
  if (!run_move(run, RUN_RUNNING)) {
    return;
  }
  send_sandboxed(run, !run->request->start_unawaited);
  /* Of the exec's arguments those in memory are our own code's, and a close has none there. */
  if (listener_continue(run->listener.fd, notification) != 0 && errno != ENOENT) {
    run_fail_setup(run, SANDWIRE_STEP_LISTENER, errno, "answering the launch");
    return;
  }
  start_request_close_fds(run->request); /* the sandboxee has its own */
}

static void on_notification(struct watch *watch, uint32_t events) {
  struct run *run = RUN_OF(watch, listener);
  if (!(events & EPOLLIN)) { /* EPOLLHUP: nothing runs under the filter any more */
    event_loop_close(watch);
    return;
  }
  struct seccomp_notif notification;
  memset(&notification, 0, sizeof(notification)); /* the kernel insists */
  if (ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
    return; /* ENOENT: the thread was killed meanwhile; EINTR: it comes again */
  }
  if (!run_is_open(run)) {
    return; /* the thread stands still until it is killed */
  }
  if (run->phase == RUN_LAUNCHING &&
      listener_is_launch(run->request->mode, &notification, run->announced_listener)) {
    on_launch(run, &notification);
    run_advance(run);
    return;
  }
  /* Its arguments are in memory, and what runs until then is the client's own code. Whatever takes the
   * program over later finds the same call to be its end, by the very filter that this one installs. */
  if (run->has_sandbox2_client && listener_is_sandbox2_check(&notification)) {
    if (listener_continue(watch->fd, &notification) != 0 && errno != ENOENT) {
      monitor_violate(run, &notification, SANDWIRE_CAUSE_POLICY);
    }
    return;
  }
  int cause = SANDWIRE_CAUSE_POLICY;
  if (notifications_are_for_host(run, &notification.data)) {
    cause = notifications_ask(run, &notification);
    if (cause == 0) {
      return;
    }
  }
  monitor_violate(run, &notification, cause);
}

void monitor_violate(struct run *run, const struct seccomp_notif *notification, int cause) {
  violation_read(&run->violation, run->listener.fd, notification, run->sandboxee.pid);
  run->violation.cause = cause;
  /* The listener stays open until every process of the sandbox is dead: closing it would answer the syscall
   * with ENOSYS, and another process could run on for a moment. */
  run_end(run, SANDWIRE_VIOLATED);
  run_advance(run);
}

static void on_memory_read(struct memory_reading *reading, const struct argument_memory memory[6]) {
  struct run *run = RUN_OF(reading, violation_memory);
  if (listener_still_waits(run->listener.fd, run->violation.notification)) { /* it was its own memory */
    violation_take_memory(&run->violation, memory);
  }
  monitor_end_reading(run);
  run_advance(run);
}

bool monitor_begin_reading(struct run *run) {
  struct memory_reading *reading = &run->violation_memory;
  reading->done = on_memory_read;
  reading->tid = run->violation.tid;
  reading->size = VIOLATION_MEMORY_SIZE;
  memcpy(reading->addresses, run->violation.data.args, sizeof(reading->addresses));
  return memory_reading_is_needed(reading) && memory_reader_read(&run->reader, reading);
}

void monitor_end_reading(struct run *run) {
  run_move(run, stack_trace_is_due(run) ? RUN_UNWINDING : RUN_ENDING);
}

/* The program was on its own between its exec, or the fork server's fork, and its policy. */
static bool came_as_it_should(struct run *run) {
  if (limits_core_stands(run->request, run->sandboxee.pid)) {
    return true;
  }
  run_fail_setup(run, SANDWIRE_STEP_LIMITS, EPERM,
                 "core files: the program has lowered it before it was under its policy");
  return false;
}

static void take_announced(struct run *run) {
  /* Before exec it is our own code that has announced it. */
  const bool is_certain = run->request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC;
  int listener =
      listener_take(run->sandboxee.watch.fd, run->sandboxee.pid, run->announced_listener, is_certain);
  if (listener < 0 || event_loop_add(&run->listener, listener, EPOLLIN, on_notification) != 0) {
    int error = errno;
    if (listener >= 0) {
      close(listener);
    }
    run->announced_listener = -1;
    /* A sandboxee that has failed and ended has reported that itself. */
    if (!process_is_exiting(run->sandboxee.pid)) {
      run_fail_setup(run, SANDWIRE_STEP_LISTENER, error, "pidfd_getfd");
    }
    return;
  }
  listener_stay_on_one_core(listener);
  if (run_move(run, RUN_LAUNCHING) && !is_certain) {
    (void)came_as_it_should(run);
  }
}

/* The sandboxee has taken its filter: the program runs from now on. */
static void take_offered(struct run *run) {
  const int listener = run->offered_listener;
  run->offered_listener = -1;
  if (!listener_is_one(listener)) {
    close_foreign(&listener, 1);
    run_fail_setup(run, SANDWIRE_STEP_LISTENER, EINVAL, "the fd the sandboxee sent is no seccomp listener");
  } else if (event_loop_add(&run->listener, listener, EPOLLIN, on_notification) != 0) {
    close(listener);
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
  } else if (came_as_it_should(run) && run_move(run, RUN_RUNNING)) {
    run->has_sandbox2_client = true;
    send_sandboxed(run, true);
  }
}

void monitor_take_listener(struct run *run) {
  if (run->offered_listener >= 0) {
    take_offered(run);
  } else if (run->announced_listener >= 0) {
    take_announced(run);
  }
}

void run_attach_listener(uint64_t number, int listener) {
  struct run *run = run_find(number);
  if (run == NULL || run->request->mode != SANDWIRE_SANDBOX_ME_HERE || run->offered_listener >= 0 ||
      (run->phase != RUN_ATTACHING && run->phase != RUN_STARTING)) {
    close_foreign(&listener, 1);
    return;
  }
  run->offered_listener = listener;
  if (listener < 0) {
    run_fail_setup(run, SANDWIRE_STEP_LISTENER, EMFILE, "from the host");
  }
  run_advance(run);
}
