/* Children nobody told us of: those of a maker or an enterer that was killed between its fork and its report, by somebody
 * on the machine or for want of memory. They die with their sandbox, and have to be reaped. Runs in the supervisor. */
#ifndef SUPERVISOR_STRAYS_H
#define SUPERVISOR_STRAYS_H

#include <signal.h>

/* A maker or enterer was forked; and: it has ended, and what it reported is watched by now. */
void strays_launcher_forked(void);
void strays_launcher_ended(const siginfo_t *info);

#endif
