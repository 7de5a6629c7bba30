/* What a run does under its filter: every notification is the launch, which is let through, a question to the
 * host (notifications.h), or a violation, which ends it. Runs in the supervisor. */
#ifndef SUPERVISOR_MONITOR_H
#define SUPERVISOR_MONITOR_H

#include <linux/seccomp.h>
#include <stdbool.h>

struct run;

/* The sandboxee has announced its listener and waits at its launch: takes the listener out of it. */
void monitor_take_listener(struct run *run);

/* This call is not allowed: reads what there is to know of it, and ends the run. cause: enum
 * sandwire_violation_cause. May free the run. */
void monitor_violate(struct run *run, const struct seccomp_notif *notification, int cause);

/* Reads what the arguments of run->violation point at, while its thread stands still. False: nothing is to be
 * read, or cannot be. Otherwise run_end() will be called again. */
bool monitor_begin_reading(struct run *run);
bool monitor_is_reading(const struct run *run);

#endif
