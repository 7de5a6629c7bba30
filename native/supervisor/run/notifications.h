/* Calls that are for the host to judge. Each is a thread that stands before its syscall until the host's
 * answer comes, or the time for it is over, or the run ends. Runs in the supervisor, which goes on with all
 * else meanwhile. */
#ifndef SUPERVISOR_NOTIFICATIONS_H
#define SUPERVISOR_NOTIFICATIONS_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "violation.h"

struct run;

struct answer {
  int kind; /* enum sandwire_answer_kind */
  int error;
  int64_t value;
};

/* Whether the policy returns this call's notification as one for the host. */
bool notifications_are_for_host(const struct run *run, const struct seccomp_data *data);

/* Asks, as soon as the host is ready to be told. Returns 0, or the cause (enum sandwire_violation_cause) for
 * which the call is a violation at once. May free the run. */
int notifications_ask(struct run *run, const struct seccomp_notif *notification);

/* The host may be ready to be told of the next. One of each run is under way at a time, so that what waits to
 * be told has a bound, and no run has it all. May free the run. */
void notifications_go_on(struct run *run);

/* The host's word. One that is not waited for any more is passed over. May free the run. */
void notifications_answer(uint64_t run, uint64_t question, const struct answer *answer);

/* The run has ended: none of them is waited for. The threads stay where they are until they are killed. */
void notifications_drop(struct run *run);

#endif
