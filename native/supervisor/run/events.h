/* The messages that the supervisor sends to the host. */
#ifndef SUPERVISOR_EVENTS_H
#define SUPERVISOR_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "cgroup/cgroup.h"
#include "entry/setup_report.h"
#include "violation.h"

/* How a run ended; fields that do not apply to its kind are ignored. */
struct run_end {
  int kind; /* enum sandwire_end_kind; 0: not ended */
  int exit_code;
  int signal;
  struct rusage usage;
  struct cgroup_usage cgroup;
  const void *stack_traces; /* a StackTraces message; NULL: none */
  size_t stack_traces_size;
  const char *stack_traces_missing; /* why there are none; NULL: none were asked for */
};

void events_send_started(uint64_t run, pid_t sandboxee, pid_t init);
/* awaited: the host waits for it. */
void events_send_sandboxed(uint64_t run, pid_t sandboxee, pid_t init, bool awaited);
void events_send_ended(uint64_t run, const struct run_end *end, const struct setup_report *report,
                       const struct violation *violation);
/* Asks the host about a notified call: described as a violation is, with more of what its arguments point at.
 */
void events_send_asked(uint64_t run, uint64_t question, const struct violation *call,
                       const struct argument_memory memory[6]);
void events_send_refused(uint64_t run, const char *reason);

#endif
