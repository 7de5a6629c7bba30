/* What a process passes to its children through exec, and no sandboxee should get from a host with
 * privileges. Runs in the supervisor, from which all its children inherit, and in helper processes. */
#ifndef SUPERVISOR_INHERITANCE_H
#define SUPERVISOR_INHERITANCE_H

/* Gives up real-time scheduling and I/O, niceness below 0, the permission to get them back, the merging of
 * memory pages with other processes, and a personality(2), which may switch address space randomisation off.
 * Sees to it that a limit of core files of 1 can be set, where that takes privilege. NULL, or what could not
 * be done, with errno. */
const char *inheritance_renounce(void);

/* In a child: default dispositions and an empty mask, by undoing what the supervisor has changed for itself
 * since it reset them all. 0, or -1. */
int inheritance_reset_signals(void);

/* In a child, in the host's mount namespace: when memory runs out, the kernel kills it before the host. 0, or
 * -1.
 */
int inheritance_volunteer_for_oom(void);

#endif
