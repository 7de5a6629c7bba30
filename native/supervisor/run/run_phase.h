/* How far a run has got. run_move() alone moves it (run_private.h), and only as the table in run_phase.c
 * allows. docs/architecture.md has the same table with the events that lead from phase to phase. Touches
 * nothing but its arguments. */
#ifndef SUPERVISOR_RUN_PHASE_H
#define SUPERVISOR_RUN_PHASE_H

#include <stdbool.h>
#include <stddef.h>

/* In this order. Up to RUN_CRASHING the run is open: how it ends is not settled. */
enum run_phase {
  RUN_AWAITING_SANDBOX, /* its sandbox is being made */
  RUN_ATTACHING,        /* an attach helper, or a fork server, is bringing the sandboxee into the sandbox */
  RUN_STARTING,         /* the sandboxee exists, and is not under its filter */
  RUN_LAUNCHING,        /* the filter is in force, and the supervisor holds the listener */
  RUN_RUNNING,          /* the launch call has been let through: the program runs */
  RUN_CRASHING,         /* a thread that is about to die or to exit is held, and its stack is taken */
  RUN_READING,          /* the memory that a violation's arguments point at is being read */
  RUN_UNWINDING,        /* the stack trace for a run that is about to be killed is being taken */
  RUN_ENDING,           /* whatever still runs is being killed */
  RUN_REPORTED,         /* the host has been sent how it ended */
  RUN_PHASES,
};

struct run_transition {
  enum run_phase from, to;
};

/* Every transition that is possible. */
extern const struct run_transition run_transitions[];
extern const size_t run_transition_count;

bool run_phase_may_follow(enum run_phase to, enum run_phase from);

/* True until it is settled how the run ends. */
bool run_phase_is_open(enum run_phase phase);

/* As docs/architecture.md has it. */
const char *run_phase_name(enum run_phase phase);

#endif
