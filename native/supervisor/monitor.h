/* What a run does under its filter: every notification is the launch, which is let through, or a violation, which
 * ends it. Runs in the supervisor. */
#ifndef SUPERVISOR_MONITOR_H
#define SUPERVISOR_MONITOR_H

struct run;

/* The sandboxee has announced its listener and waits at its launch: takes the listener out of it. */
void monitor_take_listener(struct run *run);

#endif
