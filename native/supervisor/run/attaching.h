/* From a run's sandbox to the sandboxee in it. Runs in the supervisor. */
#ifndef SUPERVISOR_ATTACHING_H
#define SUPERVISOR_ATTACHING_H

#include <signal.h>
#include <stdbool.h>

struct run;

/* fresh: not a sandbox made ahead. A failure ends the run. */
void entering_take_sandbox(struct run *run, bool fresh);

/* Does what the state of the sandbox allows or demands. */
void entering_follow_sandbox(struct run *run);

/* Takes over what the processes that enter have said of a failure. */
void entering_hear(struct run *run);

/* The sandboxee has ended. Whether that is no fault of the run's: it was the resident of a sandbox made
 * ahead, whose init was killed, and the program had not begun. */
bool entering_was_lost(const struct run *run, const siginfo_t *info);

/* The sandbox was made ahead and is not what it was: another, made from scratch. */
void entering_start_over(struct run *run);

#endif
