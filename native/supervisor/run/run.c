/* The life of a run, event by event:
 *
 *   sandbox ready ─► sandboxee there (attaching.c) ─► filter in force ─► sandboxee ended
 *                                                                       └► Ended, then the sandbox released;
 *                                                          others it has left are killed first
 *
 * The sandboxee is killed at will. The run is forgotten when it is reaped, and so is the enterer, if there
 * was one. */
#include "run.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "attaching.h"
#include "events.h"
#include "forked_sandboxee.h"
#include "listener.h"
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

/* ---- ending ---- */

/* Whether nobody whom the sandboxee, which has ended, has left in the sandbox goes on in it. All that are
 * under the filter are counted by the listener. Those that a program or a fork server has made before they
 * took it are children of init, as they became its own before their parent was there to be reaped
 * (exit_notify() and find_new_reaper() in the kernel's exit.c) and no policy lets anybody make children for
 * somebody else. */
static bool nobody_is_left(const struct run *run) {
  if (run->sandbox == NULL || !run->entered || sandbox_init(run->sandbox) == 0) {
    return true;
  }
  if (run->launched && !listener_is_over(run->listener.fd)) {
    return false;
  }
  return run->request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC || sandbox_is_empty(run->sandbox);
}

/* With a sandboxee, the end is told when it is reaped, and all it has left are dead; without one, at once. An
 * enterer may still bring one. */
static bool end_can_be_told(const struct run *run) {
  return run->end.kind != 0 && run->sandboxee.pid == 0 && run->enterer.pid == 0 && !monitor_is_reading(run) &&
         stack_trace_is_idle(run) && nobody_is_left(run);
}

void run_end(struct run *run, int kind) {
  deadline_clear(&run->walltime);
  questions_drop(run);
  if (run->end.kind == 0) {
    run->end.kind = kind;
    if (kind == SANDWIRE_VIOLATED && monitor_begin_reading(run)) {
      return; /* and comes again */
    }
  } else if (monitor_is_reading(run)) { /* somebody has lost patience */
    memory_reading_cancel(&run->violation_memory);
    stack_trace_drop(run);
  }
  if (stack_trace_begin(run)) {
    return; /* and comes again */
  }
  stack_trace_drop(run);
  process_kill(&run->sandboxee);
  if (run->sandbox != NULL &&
      !end_can_be_told(run)) { /* which comes first, and the sandbox goes right after */
    sandbox_kill(run->sandbox);
  }
}

void run_fail_setup(struct run *run, int step, int error, const char *detail) {
  entering_hear(run);
  setup_report_failure(&run->report, step, error, detail);
  run_end(run, SANDWIRE_SETUP_FAILED);
}

static void on_walltime(struct deadline *deadline) {
  struct run *run = RUN_OF(deadline, walltime);
  run_end(run, SANDWIRE_TIMED_OUT);
  run_advance(run);
}

bool run_init_is_ending(const struct run *run) {
  pid_t init = sandbox_init(run->sandbox);
  return init == 0 || process_is_exiting(init);
}

/* The sandboxee was reaped with these. */
static void settle_exit(struct run *run, const siginfo_t *info) {
  if (run->end.kind != 0) {
    return;
  }
  if (run->report.step != 0) { /* it said so before it ended: the program never ran */
    run->end.kind = SANDWIRE_SETUP_FAILED;
  } else if (info->si_code == CLD_EXITED) {
    run->end.kind = SANDWIRE_EXITED;
    run->end.exit_code = info->si_status;
  } else if (info->si_status == SIGKILL && run_init_is_ending(run)) {
    /* Nobody of ours killed it: it went down with its init. */
    setup_report_failure(&run->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
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
  memory_reader_destroy(&run->reader);
  start_request_destroy(run->request);
  free(run);
}

/* ---- what happens to it ---- */

void run_advance(struct run *run) {
  if (run->end.kind == 0) {
    entering_follow_sandbox(run);
  }
  if (run->end.kind == 0 && run->rendezvous_closed && run->announced_listener >= 0 &&
      run->sandboxee.pid > 0) {
    run->rendezvous_closed = false;
    monitor_take_listener(run);
  }
  if (end_can_be_told(run)) {
    if (run->cgroup != NULL) {
      cgroup_read_usage(run->cgroup, &run->end.cgroup);
    }
    const bool had_stack_trace = run->stack_trace.kind != 0;
    stack_trace_tell(run);
    events_send_ended(run->request->run, &run->end, &run->report, &run->violation);
    (void)
        sched_yield(); /* the host, often woken on this CPU, need not wait until the sandbox is taken down */
    if (run->sandbox != NULL) {
      sandbox_make_ahead(run->sandbox, run->request->spares);
      sandbox_keep_cgroup(run->sandbox, run->cgroup);
      sandbox_release(run->sandbox);
    } else {
      cgroup_remove(run->cgroup);
    }
    forget(run);
    if (had_stack_trace) {
      unwinder_make_ahead();
    }
  }
}

void run_on_sandboxee_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  struct run *run = RUN_OF(process, sandboxee);
  if (entering_was_lost(run, info)) {
    entering_start_over(run);
    run_advance(run);
    return;
  }
  entering_hear(run);
  run->end.usage = *usage;
  stack_trace_sandboxee_ended(run);
  if (!stack_trace_holds_end(run) && !monitor_is_reading(run)) {
    settle_exit(run, info);
    run_end(run, run->end.kind);
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
  run_tell_started(run);
  return true;
}

void run_tell_started(struct run *run) {
  if (run->end.kind == 0 && run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    /* Before exec there is nothing to say until the filter is in force, and every event wakes the host. */
    events_send_started(run->request->run, run->sandboxee.pid, sandbox_init(run->sandbox));
  }
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

static void on_sandbox_changed(struct sandbox_user *user) {
  run_advance(RUN_OF(user, sandbox_user));
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
    entering_take_sandbox(run, request->spares == 0);
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
    run_end(run,
            SANDWIRE_TIMED_OUT); /* no memory for the limit: better none of the run than none of the limit */
    run_advance(run);
  }
}

void runs_on_host_room(void) {
  struct run *next;
  for (struct run *run = runs; run != NULL; run = next) {
    next = run->next;
    questions_go_on(run);
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
