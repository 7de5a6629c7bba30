/* Notified calls: those that the policy leaves to the host. Each is a thread that waits before its syscall
 * until the host's answer comes, its time is over, or the run ends. Runs in the supervisor, which does
 * everything else meanwhile. */
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

/* True if the policy leaves this call to the host. */
bool notifications_are_for_host(const struct run *run, const struct seccomp_data *data);

/* Asks, as soon as there is room in the channel to the host. Returns 0, or the cause (enum
 * sandwire_violation_cause) for which the call is a violation at once. May free the run. */
int notifications_ask(struct run *run, const struct seccomp_notif *notification);

/* There may be room for the next. Each run reads and sends one at a time, so that what waits in the channel
 * is bounded, and no run takes all of it. May free the run. */
void notifications_go_on(struct run *run);

/* The host's answer; ignored if the call does not wait for one any more. May free the run. */
void notifications_answer(uint64_t run, uint64_t question, const struct answer *answer);

/* It is settled how the run ends: no answer is waited for. The threads stay where they are until they are
 * killed. */
void notifications_drop(struct run *run);

#endif
