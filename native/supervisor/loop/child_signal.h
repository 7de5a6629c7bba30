/* SIGCHLD, for those to whom a pidfd does not tell enough. There is one place that reads it, since who reads
 * a signal takes it from the others. Runs in the supervisor. */
#ifndef SUPERVISOR_CHILD_SIGNAL_H
#define SUPERVISOR_CHILD_SIGNAL_H

#include <stdbool.h>

/* From now on it is called whenever something has become of a child, or of a process that is traced. False
 * with errno. */
bool child_signal_listen(void (*listener)(void));

#endif
