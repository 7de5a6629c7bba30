/* SIGCHLD, for what pidfds do not report. Only this file reads it: a signal that is read is gone for others.
 * Runs in the supervisor. */
#ifndef SUPERVISOR_CHILD_SIGNAL_H
#define SUPERVISOR_CHILD_SIGNAL_H

#include <stdbool.h>

/* From now on it is called whenever the state of a child, or of a traced process, has changed. False with
 * errno. */
bool child_signal_listen(void (*listener)(void));

#endif
