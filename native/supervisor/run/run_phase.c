#include "run_phase.h"

const struct run_transition run_transitions[] = {
    {RUN_AWAITING_SANDBOX, RUN_AWAITING_SANDBOX},
    {RUN_AWAITING_SANDBOX, RUN_ATTACHING},
    {RUN_AWAITING_SANDBOX, RUN_ENDING},
    {RUN_ATTACHING, RUN_AWAITING_SANDBOX},
    {RUN_ATTACHING, RUN_STARTING},
    {RUN_ATTACHING, RUN_ENDING},
    {RUN_STARTING, RUN_AWAITING_SANDBOX},
    {RUN_STARTING, RUN_LAUNCHING},
    {RUN_STARTING, RUN_RUNNING},
    {RUN_STARTING, RUN_ENDING},
    {RUN_LAUNCHING, RUN_AWAITING_SANDBOX},
    {RUN_LAUNCHING, RUN_RUNNING},
    {RUN_LAUNCHING, RUN_READING},
    {RUN_LAUNCHING, RUN_ENDING},
    {RUN_RUNNING, RUN_CRASHING},
    {RUN_RUNNING, RUN_READING},
    {RUN_RUNNING, RUN_UNWINDING},
    {RUN_RUNNING, RUN_ENDING},
    {RUN_CRASHING, RUN_RUNNING},
    {RUN_CRASHING, RUN_READING},
    {RUN_CRASHING, RUN_ENDING},
    {RUN_READING, RUN_UNWINDING},
    {RUN_READING, RUN_ENDING},
    {RUN_UNWINDING, RUN_ENDING},
    {RUN_ENDING, RUN_REPORTED},
};

const size_t run_transition_count = sizeof(run_transitions) / sizeof(run_transitions[0]);

bool run_phase_may_follow(enum run_phase to, enum run_phase from) {
  size_t i = 0;
  while (i < run_transition_count && (run_transitions[i].from != from || run_transitions[i].to != to)) {
    i++;
  }
  return i < run_transition_count;
}

bool run_phase_is_open(enum run_phase phase) {
  return phase < RUN_READING;
}

const char *run_phase_name(enum run_phase phase) {
  static const char *const names[RUN_PHASES] = {
      [RUN_AWAITING_SANDBOX] = "awaiting a sandbox",
      [RUN_ATTACHING] = "attaching",
      [RUN_STARTING] = "starting",
      [RUN_LAUNCHING] = "launching",
      [RUN_RUNNING] = "running",
      [RUN_CRASHING] = "crashing",
      [RUN_READING] = "reading",
      [RUN_UNWINDING] = "unwinding",
      [RUN_ENDING] = "ending",
      [RUN_REPORTED] = "reported",
  };
  return phase < RUN_PHASES ? names[phase] : "no phase";
}
