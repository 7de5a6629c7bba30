/* The life of a run, event by event:
 *
 *   sandbox ready ─► enterer forked ─► sandboxee there ─► filter in force ─► sandboxee ended
 *                                                                           └► Ended, then the sandbox released
 *
 * The enterer does a bounded piece of work and ends by itself; it is never killed, since it alone knows the pid of what
 * it forked. The sandboxee is killed at will. The run is forgotten when both are reaped. */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/events.h"
#include "entry/launch.h"
#include "fork/fork_server.h"
#include "fork/forked.h"
#include "fork/guide.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "monitor.h"
#include "questions.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"
#include "strays.h"

static struct run *runs;

static void take_sandbox(struct run *run, bool fresh);
static void start_over(struct run *run);
static void on_enterer_end(struct process *process, const siginfo_t *info, const struct rusage *usage);

struct run *run_find(uint64_t number) {
  struct run *run = runs;
  while (run != NULL && run->request->run != number) {
    run = run->next;
  }
  return run;
}

/* --- ending ------------------------------------------------------------------------------------------------ */

/* With a sandboxee, the end is told when it is reaped; without one, at once. An enterer may still bring one. */
static bool end_can_be_told(const struct run *run) {
  return run->end.kind != 0 && run->sandboxee.pid == 0 && run->enterer.pid == 0 && stack_trace_is_idle(run);
}

void run_end(struct run *run, int kind) {
  deadline_clear(&run->walltime);
  questions_drop(run);
  if (run->end.kind == 0) {
    run->end.kind = kind;
    if (stack_trace_begin(run)) {
      return; /* and comes again */
    }
  }
  stack_trace_drop(run);
  process_kill(&run->sandboxee);
  if (run->sandbox != NULL && !end_can_be_told(run)) { /* which comes first, and the sandbox goes right after */
    sandbox_kill(run->sandbox);
  }
}

void run_fail_setup(struct run *run, int step, int error, const char *detail) {
  setup_report_failure(run->report, step, error, detail);
  run_end(run, SANDWIRE_SETUP_FAILED);
}

static void on_walltime(struct deadline *deadline) {
  struct run *run = RUN_OF(deadline, walltime);
  run_end(run, SANDWIRE_TIMED_OUT);
  run_advance(run);
}

static bool init_is_ending(const struct run *run) {
  pid_t init = sandbox_init(run->sandbox);
  return init == 0 || process_is_exiting(init);
}

/* The sandboxee was reaped with these. */
static void settle_exit(struct run *run, const siginfo_t *info) {
  if (run->end.kind != 0) {
    return;
  }
  if (run->report->step != 0) { /* it said so before it ended: the program never ran */
    run->end.kind = SANDWIRE_SETUP_FAILED;
  } else if (info->si_code == CLD_EXITED) {
    run->end.kind = SANDWIRE_EXITED;
    run->end.exit_code = info->si_status;
  } else if (info->si_status == SIGKILL && init_is_ending(run)) {
    /* Nobody of ours killed it: it went down with its init. */
    setup_report_failure(run->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
    run->end.kind = SANDWIRE_INTERNAL_FAILURE;
  } else {
    run->end.kind = SANDWIRE_SIGNALED;
    run->end.signal = info->si_status;
  }
}

static void forget(struct run *run) {
  if (run->previous != NULL) {
    run->previous->next = run->next;
  } else {
    runs = run->next;
  }
  if (run->next != NULL) {
    run->next->previous = run->previous;
  }
  deadline_clear(&run->walltime);
  event_loop_close(&run->rendezvous);
  event_loop_close(&run->listener);
  forked_destroy(run->forked);
  stack_trace_destroy(run);
  setup_report_destroy(run->report);
  start_request_destroy(run->request);
  free(run);
}

/* --- the steps --------------------------------------------------------------------------------------------- */

/* The sandboxee has closed its end: its filter is in force, or it has ended. */
static void on_rendezvous_closed(struct watch *watch, uint32_t events) {
  (void)events;
  struct run *run = RUN_OF(watch, rendezvous);
  int32_t number;
  if (recv(watch->fd, &number, sizeof(number), MSG_DONTWAIT) == (ssize_t)sizeof(number) && number >= 0) {
    run->announced_listener = number;
  }
  run->rendezvous_closed = true;
  event_loop_close(watch);
  run_advance(run);
}

static void enter(struct run *run) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "socketpair");
    return;
  }
  /* Its end, not its one message, is what counts: waking up once is enough. */
  if (event_loop_add(&run->rendezvous, pair[0], EPOLLRDHUP, on_rendezvous_closed) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    close(pair[0]);
    close(pair[1]);
    return;
  }
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    const int cgroup_fd = run->cgroup == NULL ? -1 : cgroup_entrance(run->cgroup);
    if (run->request->mode == SANDWIRE_FORKED) {
      guide_main(run->request, run->report, run->sandbox, pair[1], cgroup_fd, self);
    }
    launch_main(run->request, run->report, run->sandbox, pair[1], cgroup_fd, self);
  }
  int error = errno;
  close(pair[1]);
  if (pid < 0) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, error, "enterer");
  } else if (!process_watch(&run->enterer, pid, on_enterer_end)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  } else {
    strays_launcher_forked();
  }
}

/* What becomes of the sandbox before it is entered, and after. */
static void follow_sandbox(struct run *run) {
  switch (sandbox_state(run->sandbox)) {
    case SANDBOX_READY:
      if (!run->entered) {
        run->entered = true;
        enter(run);
      }
      break;
    case SANDBOX_FAILED: {
      if (sandbox_was_made_ahead(run->sandbox) && run->sandboxee.pid == 0) {
        /* While it waited, before anybody was in it. The enterer, if there is one, finds that out for itself. */
        if (run->enterer.pid == 0) {
          start_over(run);
        }
        break;
      }
      const struct setup_report *report = sandbox_report(run->sandbox);
      setup_report_failure(run->report, report->step, report->error, report->detail);
      /* Once somebody is in it, its only failure is that its init was killed. */
      run_end(run, run->entered ? SANDWIRE_INTERNAL_FAILURE : SANDWIRE_SETUP_FAILED);
      break;
    }
    case SANDBOX_BEING_MADE:
      break;
  }
}

void run_advance(struct run *run) {
  if (run->end.kind == 0) {
    follow_sandbox(run);
  }
  if (run->end.kind == 0 && run->rendezvous_closed && run->announced_listener >= 0 && run->sandboxee.pid > 0) {
    run->rendezvous_closed = false;
    monitor_take_listener(run);
  }
  if (end_can_be_told(run)) {
    if (run->cgroup != NULL) {
      cgroup_read_usage(run->cgroup, &run->end.cgroup);
    }
    stack_trace_tell(run);
    events_send_ended(run->request->run, &run->end, run->report, &run->violation);
    if (run->sandbox != NULL) {
      sandbox_make_ahead(run->sandbox, run->request->spares);
      sandbox_keep_cgroup(run->sandbox, run->cgroup);
      sandbox_release(run->sandbox);
    } else {
      cgroup_remove(run->cgroup);
    }
    forget(run);
  }
}

/* The sandbox was made ahead and is not what it was: another, made from scratch. */
static void start_over(struct run *run) {
  run->report->is_stale = 0;
  run->entered = false;
  event_loop_close(&run->rendezvous);
  sandbox_release(run->sandbox);
  run->sandbox = NULL;
  take_sandbox(run, true);
}

static void on_sandboxee_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  struct run *run = RUN_OF(process, sandboxee);
  run->end.usage = *usage;
  stack_trace_sandboxee_ended(run);
  if (!stack_trace_holds_end(run)) {
    settle_exit(run, info);
    run_end(run, run->end.kind);
  }
  if (run->request->mode == SANDWIRE_FORKED) {
    fork_servers_reap_orphans();
  }
  run_advance(run);
}

bool run_watch_sandboxee(struct run *run, pid_t pid) {
  if (!process_watch(&run->sandboxee, pid, on_sandboxee_end)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pidfd");
    return false;
  }
  if (run->end.kind == 0 && run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    /* Before exec there is nothing to say until the filter is in force, and every event wakes the host. */
    events_send_started(run->request->run, pid, sandbox_init(run->sandbox));
  }
  return true;
}

static void on_enterer_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)usage;
  struct run *run = RUN_OF(process, enterer);
  if (run->report->is_stale && run->end.kind == 0) {
    strays_launcher_ended(info);
    start_over(run);
    run_advance(run);
    return;
  }
  if (run->report->child_pid > 0) {
    run_watch_sandboxee(run, run->report->child_pid);
  }
  strays_launcher_ended(info);
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, 0, "the process that enters the sandbox was killed");
  } else if (run->request->mode == SANDWIRE_FORKED && run->end.kind == 0) {
    forked_await(run);
  }
  start_request_close_fds(run->request); /* the sandboxee has its own */
  if (run->end.kind != 0) {
    process_kill(&run->sandboxee);
  }
  run_advance(run);
}

/* --- requests ---------------------------------------------------------------------------------------------- */

static void take_sandbox(struct run *run, bool fresh) {
  const char *reason = "";
  run->sandbox =
    sandbox_acquire(run->request->sandbox, run->request->sandbox_size, fresh, run, run_advance, &reason);
  if (run->sandbox == NULL) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, 0, reason);
  }
}

static void make_cgroup(struct run *run) {
  char tried[SETUP_DETAIL_SIZE];
  int error = 0;
  run->cgroup = cgroup_make(&run->request->cgroup, run->request->run, &error, tried, sizeof(tried));
  if (run->cgroup == NULL) {
    run_fail_setup(run, SANDWIRE_STEP_CGROUP, error, tried);
  }
}

void run_start(struct start_request *request) {
  struct run *run = calloc(1, sizeof(*run));
  struct setup_report *report = setup_report_create();
  if (run == NULL || report == NULL) {
    free(run);
    setup_report_destroy(report);
    events_send_refused(request->run, "the supervisor has no memory left");
    start_request_destroy(request);
    return;
  }
  run->request = request;
  run->report = report;
  run->announced_listener = -1;
  run->rendezvous.fd = run->listener.fd = -1;
  process_init(&run->enterer);
  process_init(&run->sandboxee);
  stack_trace_init(run);
  run->next = runs;
  if (runs != NULL) {
    runs->previous = run;
  }
  runs = run;
  if (request->walltime_ms > 0 &&
      deadline_set(&run->walltime, monotonic_now_ns() + request->walltime_ms * 1000000u, on_walltime) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, ENOMEM, "walltime");
  } else if (request->cgroup.asked) {
    make_cgroup(run);
  }
  if (run->end.kind == 0) {
    take_sandbox(run, request->spares == 0);
  }
  run_advance(run);
}

void run_kill(uint64_t number) {
  struct run *run = run_find(number);
  if (run != NULL) {
    run_end(run, SANDWIRE_KILLED);
    run_advance(run);
  }
}

void run_set_walltime(uint64_t number, uint64_t walltime_ms) {
  struct run *run = run_find(number);
  if (run == NULL || run->end.kind != 0) {
    return;
  }
  deadline_clear(&run->walltime);
  if (walltime_ms > 0 &&
      deadline_set(&run->walltime, monotonic_now_ns() + walltime_ms * 1000000u, on_walltime) != 0) {
    run_end(run, SANDWIRE_TIMED_OUT); /* no memory for the limit: better none of the run than none of the limit */
    run_advance(run);
  }
}

static void (*when_all_gone)(void);

static void on_gone(void) {
  if (sandboxes_alive() == 0 && fork_servers_alive() == 0) {
    when_all_gone();
  }
}

static void on_patience_ended(struct deadline *deadline) {
  (void)deadline;
  when_all_gone();
}

void run_end_all(void (*gone)(void)) {
  static struct deadline patience;
  when_all_gone = gone;
  sandboxes_when_gone(on_gone);
  fork_servers_end(on_gone);
  struct run *next;
  for (struct run *run = runs; run != NULL; run = next) {
    next = run->next;
    stack_trace_drop(run);
    run_end(run, SANDWIRE_KILLED);
    run_advance(run);
  }
  sandboxes_close();
  on_gone();
  if (deadline_set(&patience, monotonic_now_ns() + 1000000000u, on_patience_ended) != 0) {
    gone();
  }
}
