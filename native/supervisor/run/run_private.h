/* A run's insides, for the parts of a run: run.c, which has its phases; attaching.c, which brings the
 * sandboxee into its sandbox; monitor.c, which watches what it does under its filter; and their helpers. Runs
 * in the supervisor. */
#ifndef SUPERVISOR_RUN_PRIVATE_H
#define SUPERVISOR_RUN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "cgroup/cgroup.h"
#include "entry/setup_report.h"
#include "events.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "loop/process.h"
#include "request/start_request.h"
#include "run_phase.h"
#include "sandbox/sandbox.h"
#include "stack_trace.h"
#include "violation.h"

struct run {
  struct run *next, *previous;
  enum run_phase phase;           /* run_move() alone changes it */
  enum run_phase last_open_phase; /* once it is settled how the run ends */
  struct start_request *request;
  struct setup_report report; /* the failure that stands, of whatever step */
  struct sandbox *sandbox;    /* NULL: there is none yet, or it could not be had */
  struct sandbox_user sandbox_user;
  struct cgroup *cgroup; /* NULL if none was asked for */
  struct process attach_helper, sandboxee;
  struct watch rendezvous, listener;
  struct deadline walltime;
  struct forked_sandboxee *forked; /* of a sandboxee that a fork server forks, until it is in the sandbox */
  int announced_listener;   /* its number in the sandboxee, where the filter is in force; -1: not yet */
  int offered_listener;     /* an fd from the host that is not taken yet; -1: none */
  bool has_sandbox2_client; /* its listener came from the host, as only sandbox2's client sends it */
  struct run_end end;       /* kind 0 while the run is open */
  struct violation violation;
  struct memory_reader reader;
  struct memory_reading violation_memory;
  struct stack_trace stack_trace;
  struct notified_call *notified_calls;  /* that wait for the host's answer */
  struct notified_call *call_being_read; /* whose arguments are being read, before the host is asked */
  size_t notified_call_count;
  uint64_t notified_calls_swept_ns;
};

#define RUN_OF(pointer, member) ((struct run *)((char *)(pointer)-offsetof(struct run, member)))

/* NULL if there is none of that number (any more). */
struct run *run_find(uint64_t number);

static inline bool run_is_open(const struct run *run) {
  return run_phase_is_open(run->phase);
}

/* Moves the run to another phase and does what that phase begins with. A transition that is not in the table
 * is a bug: it ends this run as an internal failure, and returns false. */
bool run_move(struct run *run, enum run_phase phase);

/* Settles how an open run ends. For one that is settled: it waits no longer for a violation's details or a
 * stack trace. run_advance() comes next. */
void run_end(struct run *run, int kind);

/* Ends it as failed in this step; detail is the object it failed on. */
void run_fail_setup(struct run *run, int step, int error, const char *detail);

/* The sandboxee exists, as a child of the supervisor: watches it. False: that is not possible, and the run
 * has failed. */
bool run_watch_sandboxee(struct run *run, pid_t pid);

/* For a sandboxee that is watched from the beginning: a standby process. */
void run_on_sandboxee_end(struct process *process, const siginfo_t *info, const struct rusage *usage);

/* True if the init of its sandbox has ended, or is about to. */
bool run_init_is_ending(const struct run *run);

/* Does what the events so far make possible. Comes last in every handler of an event: it may free the run. */
void run_advance(struct run *run);

#endif
