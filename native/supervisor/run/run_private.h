/* A run's insides, shared by run.c, which leads it to its end, attaching.c, which brings the sandboxee into
 * its sandbox, and monitor.c, which watches what it does under its filter. Runs in the supervisor. */
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
#include "sandbox/sandbox.h"
#include "stack_trace.h"
#include "violation.h"

struct run {
  struct run *next, *previous;
  struct start_request *request;
  struct setup_report report; /* the failure that stands, of whatever step */
  struct sandbox *sandbox;    /* NULL once it is released */
  struct sandbox_user sandbox_user;
  struct cgroup *cgroup; /* NULL if none was asked for */
  struct process enterer, sandboxee;
  struct watch rendezvous, listener;
  struct deadline walltime;
  struct forked *forked;  /* of a sandboxee that another process forks, until it is there */
  int announced_listener; /* its number in the sandboxee; -1: not announced */
  bool entered; /* its resident has been told what to run, or an enterer was forked into the sandbox */
  bool rendezvous_closed;   /* the filter is in force */
  bool launched;            /* the one notification that is not a violation has been let through */
  bool has_sandbox2_client; /* its listener came by way of the host, as only sandbox2's client sends it */
  struct run_end end;       /* kind 0: it goes on */
  struct violation violation;
  struct memory_reader reader;
  struct memory_reading violation_memory; /* while it is being read, the end is held up */
  struct stack_trace stack_trace;
  struct question *questions;           /* calls the host is being asked about */
  struct question *question_being_read; /* the next to be told */
  size_t question_count;
  uint64_t questions_swept_ns;
};

#define RUN_OF(pointer, member) ((struct run *)((char *)(pointer)-offsetof(struct run, member)))

/* NULL if there is none of that number (any more). */
struct run *run_find(uint64_t number);

/* Settles how the run ends; the first word stands. Kills what can be killed. */
void run_end(struct run *run, int kind);

/* Ends it as failed in this step; detail is the object it failed on. */
void run_fail_setup(struct run *run, int step, int error, const char *detail);

/* The sandboxee is there, a child of ours; watches it, and tells the host. False: that cannot be done, the
 * run has failed. */
bool run_watch_sandboxee(struct run *run, pid_t pid);

/* Tells the host, if that is to hear of it. */
void run_tell_started(struct run *run);

/* For who begins to watch it otherwise. */
void run_on_sandboxee_end(struct process *process, const siginfo_t *info, const struct rusage *usage);

/* Whether the init of its sandbox has ended, or is about to. */
bool run_init_is_ending(const struct run *run);

/* Does whatever the state allows next. Called after every event; may free the run. */
void run_advance(struct run *run);

#endif
