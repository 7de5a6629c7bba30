/* The one way into a sandbox. A sandbox is a set of namespaces held by its init; whoever is to become a
 * sandboxee enters by joining them all and forking, since only a child is born into a pid namespace
 * (pid_namespaces(7)). */
#ifndef SANDWIRE_ENTRANCE_H
#define SANDWIRE_ENTRANCE_H

#include <stdbool.h>
#include <sys/types.h>

/* Joins the namespaces of the process init_pidfd refers to (all of CLONE_NEW{USER,NS,PID,NET,IPC,UTS,CGROUP};
 * without networking the net namespace is kept) and forks. Returns as fork does: 0 in the child, which is in
 * the sandbox with all capabilities there and has still to give them up; the child's pid, as seen from
 * outside, in the caller, which has no further use and must _exit; -1 with errno.
 *
 * The caller is single-threaded, though it may share its memory (vfork(2)), and in the user namespace the
 * sandbox was made from with the same kernel uid, or privileged there. */
pid_t sandwire_enter_sandbox(int init_pidfd, bool keep_network_namespace);

/* The first half of it: joins, and leaves the fork to the caller. 0, or -1 with errno. */
int sandwire_join_sandbox(int init_pidfd, bool keep_network_namespace);

#endif
