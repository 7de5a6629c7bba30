/* The life of a run, from phase to phase (run_phase.h). An event is handled in three steps: what it says is
 * recorded, the run is moved to the phase that follows from it, and run_advance() does what has become
 * possible. The run is freed once it is reported; its sandbox is taken down after that. */
#include "run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attaching.h"
#include "events.h"
#include "forked_sandboxee.h"
#include "listener.h"
#include "loop/closing.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "monitor.h"
#include "notifications.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"
#include "unwinder.h"

static struct run *runs;
static void (*forked_sandboxee_reaped)(void);

struct run *run_find(uint64_t number) {
  struct run *run = runs;
  while (run != NULL && run->request->run != number) {
    run = run->next;
  }
  return run;
}

/* ---- phases ---- */

static void send_started(const struct run *run) {
  /* Before exec there is nothing to report until the program begins, and every event wakes the host. */
  if (run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    events_send_started(run->request->run, run->sandboxee.pid, sandbox_init(run->sandbox));
  }
}

/* What each phase begins with. It may lead to the next phase at once. */
static void enter_phase(struct run *run) {
  switch (run->phase) {
    case RUN_AWAITING_SANDBOX:
      attaching_take_another_sandbox(run);
      break;
    case RUN_ATTACHING:
      attaching_begin(run);
      break;
    case RUN_STARTING:
      send_started(run);
      break;
    case RUN_READING:
      if (!monitor_begin_reading(run)) {
        monitor_end_reading(run);
      }
      break;
    case RUN_UNWINDING:
      if (!stack_trace_begin(run)) {
        run_move(run, RUN_ENDING);
      }
      break;
    case RUN_ENDING:
      memory_reading_cancel(&run->violation_memory);
      stack_trace_drop(run);
      process_kill(&run->sandboxee);
      break;
    default:
      break;
  }
}

/* No phase leads to that one, so nothing is known of this run any more. It ends; the others are none of its
 * business. */
static void fail_closed(struct run *run, enum run_phase phase) {
  char transition[64];
  snprintf(transition, sizeof(transition), "from %s to %s", run_phase_name(run->phase),
           run_phase_name(phase));
  memset(&run->report, 0, sizeof(run->report));
  setup_report_failure(&run->report, SANDWIRE_STEP_PHASE, 0, transition);
  run->end.kind = SANDWIRE_INTERNAL_FAILURE;
}

bool run_move(struct run *run, enum run_phase phase) {
  const bool is_possible = run_phase_may_follow(phase, run->phase);
  if (!is_possible) {
    fail_closed(run, phase);
    phase = RUN_ENDING;
  }
  if (run_is_open(run) && !run_phase_is_open(phase)) {
    run->last_open_phase = run->phase;
    deadline_clear(&run->walltime);
    notifications_drop(run);
  }
  run->phase = phase;
  enter_phase(run);
  return is_possible;
}

/* ---- ending ---- */

void run_end(struct run *run, int kind) {
  if (!run_is_open(run)) {
    if (run->phase != RUN_ENDING) {
      run_move(run, RUN_ENDING);
    }
    return;
  }
  run->end.kind = kind;
  if (kind == SANDWIRE_VIOLATED) {
    run_move(run, RUN_READING);
  } else if (stack_trace_is_due(run)) {
    run_move(run, RUN_UNWINDING);
  } else {
    run_move(run, RUN_ENDING);
  }
}

void run_fail_setup(struct run *run, int step, int error, const char *detail) {
  attaching_take_report(run);
  setup_report_failure(&run->report, step, error, detail);
  run_end(run, SANDWIRE_SETUP_FAILED);
}

static void on_walltime(struct deadline *deadline) {
  struct run *run = RUN_OF(deadline, walltime);
  run_end(run, SANDWIRE_TIMED_OUT);
  run_advance(run);
}

/* True if no process that the ended sandboxee left behind still runs in the sandbox. The listener counts all
 * that are under the filter. Those that a program or a fork server has forked before it took the filter are
 * children of init: they became init's before their parent could be reaped (exit_notify() and
 * find_new_reaper() in the kernel's exit.c), and no policy lets a process make children for another. */
static bool sandbox_is_left(const struct run *run) {
  if (run->sandbox == NULL || run->last_open_phase < RUN_ATTACHING || sandbox_init(run->sandbox) == 0) {
    return true;
  }
  return listener_is_over(run->listener.fd) &&
         (run->request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC || sandbox_is_empty(run->sandbox));
}

/* An attach helper is never killed: it may still bring a sandboxee. */
static bool is_over(const struct run *run) {
  return run->sandboxee.pid == 0 && run->attach_helper.pid == 0 && sandbox_is_left(run);
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
  close_foreign(&run->offered_listener, 1);
  forked_sandboxee_destroy(run->forked);
  stack_trace_destroy(run);
  memory_reader_destroy(&run->reader);
  start_request_destroy(run->request);
  free(run);
}

/* Frees the run. */
static void report_end(struct run *run) {
  if (run->cgroup != NULL) {
    cgroup_read_usage(run->cgroup, &run->end.cgroup);
  }
  const bool had_stack_trace = run->stack_trace.kind != 0;
  stack_trace_report(run);
  events_send_ended(run->request->run, &run->end, &run->report, &run->violation);
  /* The host, often woken on this CPU, need not wait until the sandbox is taken down. */
  (void)sched_yield();
  if (run->sandbox != NULL) {
    sandbox_prewarm(run->sandbox, run->request->prewarmed);
    sandbox_keep_cgroup(run->sandbox, run->cgroup);
    sandbox_release(run->sandbox);
  } else {
    cgroup_remove(run->cgroup);
  }
  forget(run);
  if (had_stack_trace) {
    unwinder_prewarm();
  }
}

/* ---- events ---- */

void run_advance(struct run *run) {
  if (run_is_open(run)) {
    attaching_follow_sandbox(run);
  }
  if (run->phase == RUN_STARTING) {
    monitor_take_listener(run);
  }
  if (run->phase != RUN_ENDING) {
    return;
  }
  if (!is_over(run)) {
    if (run->sandbox != NULL) {
      sandbox_kill(run->sandbox);
    }
  } else {
    run_move(run, RUN_REPORTED);
    report_end(run); /* whatever run_move() says: the host waits for it */
  }
}

static void on_sandbox_changed(struct sandbox_user *user) {
  run_advance(RUN_OF(user, sandbox_user));
}

bool run_init_is_ending(const struct run *run) {
  const pid_t init = sandbox_init(run->sandbox);
  return init == 0 || process_is_exiting(init);
}

/* How a run ends whose sandboxee was reaped with these. */
static int kind_of_exit(struct run *run, const siginfo_t *info) {
  if (run->report.step != 0) { /* it said so before it ended: the program never ran */
    return SANDWIRE_SETUP_FAILED;
  }
  if (info->si_code == CLD_EXITED) {
    run->end.exit_code = info->si_status;
    return SANDWIRE_EXITED;
  }
  if (info->si_status == SIGKILL && run_init_is_ending(run)) {
    /* No process of ours killed it: it went down with its init. */
    setup_report_failure(&run->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
    return SANDWIRE_INTERNAL_FAILURE;
  }
  run->end.signal = info->si_status;
  return SANDWIRE_SIGNALED;
}

void run_on_sandboxee_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  struct run *run = RUN_OF(process, sandboxee);
  if (attaching_lost_sandbox(run, info)) {
    run_move(run, RUN_AWAITING_SANDBOX);
    run_advance(run);
    return;
  }
  attaching_take_report(run);
  run->end.usage = *usage;
  stack_trace_sandboxee_ended(run);
  if (run_is_open(run)) {
    run_end(run, kind_of_exit(run, info));
  }
  if (run->request->mode == SANDWIRE_FORKED && forked_sandboxee_reaped != NULL) {
    forked_sandboxee_reaped();
  }
  run_advance(run);
}

bool run_watch_sandboxee(struct run *run, pid_t pid) {
  if (!process_watch(&run->sandboxee, pid, run_on_sandboxee_end)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pidfd");
    return false;
  }
  return !run_is_open(run) || run_move(run, RUN_STARTING);
}

/* ---- requests ---- */

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
  if (run == NULL) {
    events_send_refused(request->run, "the supervisor has no memory left");
    start_request_destroy(request);
    return;
  }
  run->request = request;
  run->sandbox_user.changed = on_sandbox_changed;
  run->announced_listener = run->offered_listener = -1;
  run->rendezvous.fd = run->listener.fd = -1;
  process_init(&run->attach_helper);
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
  if (run_is_open(run)) {
    attaching_take_sandbox(run, request->prewarmed == 0);
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
  if (run == NULL || !run_is_open(run)) {
    return;
  }
  deadline_clear(&run->walltime);
  if (walltime_ms > 0 &&
      deadline_set(&run->walltime, monotonic_now_ns() + walltime_ms * 1000000u, on_walltime) != 0) {
    run_end(run, SANDWIRE_TIMED_OUT); /* without memory for the limit there is no run */
    run_advance(run);
  }
}

void runs_on_host_room(void) {
  struct run *next;
  for (struct run *run = runs; run != NULL; run = next) {
    next = run->next;
    notifications_go_on(run);
  }
}

void runs_on_forked_sandboxee_end(void (*reaped)(void)) {
  forked_sandboxee_reaped = reaped;
}

void runs_end(void) {
  struct run *next;
  for (struct run *run = runs; run != NULL; run = next) {
    next = run->next;
    stack_trace_drop(run);
    run_end(run, SANDWIRE_KILLED);
    run_advance(run);
  }
}
