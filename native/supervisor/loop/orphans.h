/* Children nobody told us of: those of a maker or an enterer that was killed between its fork and its report,
 * by somebody on the machine or for want of memory; and those that a process whose parent we are has left to
 * us by clone() with CLONE_PARENT, which every policy refuses, but nothing refuses to a program before it
 * calls sandboxMeHere(). They die with their sandbox, and one that is not reaped holds up the end of all of
 * it (zap_pid_ns_processes() in the kernel's pid_namespace.c). Runs in the supervisor. */
#ifndef SUPERVISOR_ORPHANS_H
#define SUPERVISOR_ORPHANS_H

#include <signal.h>

/* A maker or enterer has ended, and what it reported is watched by now. */
void strays_launcher_ended(const siginfo_t *info);

/* A sandbox has been killed: should it not be gone in a moment, strays may be why. */
void strays_sandbox_killed(void);

#endif
