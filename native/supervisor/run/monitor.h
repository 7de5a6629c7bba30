/* What a run does under its filter: every notification is the launch call, which is let through, a notified
 * call (notifications.h), or a violation, which ends the run. Runs in the supervisor. */
#ifndef SUPERVISOR_MONITOR_H
#define SUPERVISOR_MONITOR_H

#include <linux/seccomp.h>
#include <stdbool.h>

struct run;

/* RUN_STARTING: takes the listener, if the sandboxee has announced it and waits at its launch call, or the
 * host has sent it. */
void monitor_take_listener(struct run *run);

/* This call is not allowed: reads what can be known of it, and ends the run. cause: enum
 * sandwire_violation_cause. May free the run. */
void monitor_violate(struct run *run, const struct seccomp_notif *notification, int cause);

/* RUN_READING: begins to read what the arguments of run->violation point at, while its thread stands still.
 * False: nothing is to be read, or it is not possible. */
bool monitor_begin_reading(struct run *run);

/* Moves on to the stack trace, or to the end. */
void monitor_end_reading(struct run *run);

#endif
