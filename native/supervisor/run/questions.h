/* Calls that are for the host to judge. Each is a thread that stands before its syscall until the host's answer comes,
 * or the time for it is over, or the run ends. Runs in the supervisor, which goes on with all else meanwhile. */
#ifndef SUPERVISOR_QUESTIONS_H
#define SUPERVISOR_QUESTIONS_H

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
bool questions_are_for_host(const struct run *run, const struct seccomp_data *data);

/* Asks. Returns 0, or the cause (enum sandwire_violation_cause) for which the call is a violation at once. */
int questions_ask(struct run *run, const struct seccomp_notif *notification);

/* The host's word. One that is not waited for any more is passed over. May free the run. */
void questions_answer(uint64_t run, uint64_t question, const struct answer *answer);

/* The run has ended: none of them is waited for. The threads stay where they are until they are killed. */
void questions_drop(struct run *run);

#endif
