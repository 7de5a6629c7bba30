/* From a run's sandbox to the sandboxee in it. Runs in the supervisor. */
#ifndef SUPERVISOR_ATTACHING_H
#define SUPERVISOR_ATTACHING_H

#include <signal.h>
#include <stdbool.h>

struct run;

/* fresh: not a prewarmed sandbox. A failure ends the run. */
void attaching_take_sandbox(struct run *run, bool fresh);

/* RUN_AWAITING_SANDBOX again: the prewarmed sandbox is stale or was lost. Takes a fresh one in its place. */
void attaching_take_another_sandbox(struct run *run);

/* RUN_ATTACHING: the sandbox is ready. */
void attaching_begin(struct run *run);

/* The state of the sandbox may have changed. */
void attaching_follow_sandbox(struct run *run);

/* Takes over what a failed attach helper, or sandboxee-to-be, has reported. */
void attaching_take_report(struct run *run);

/* The sandboxee has ended. True if that is no fault of the run: it was the standby process of a prewarmed
 * sandbox whose init was killed, and the program had not begun. */
bool attaching_lost_sandbox(const struct run *run, const siginfo_t *info);

#endif
