/* Giving things up, step by step. Runs in the process that is about to become a sandboxee, inside the
 * sandbox's namespaces, single-threaded. Async-signal-safe, allocates nothing. Every call: 0, or -1 with
 * errno. */
#ifndef SANDWIRE_PRIVILEGES_H
#define SANDWIRE_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandwire/wire.generated.h"

/* The uid and gid of a sandboxee inside its user namespace. */
enum { SANDWIRE_INSIDE_ID = 1000 };

/* A session and a session keyring of its own: no controlling terminal, no process group, no keys of the
 * host's. */
int sandwire_leave_session(void);

/* The keyring alone. */
int sandwire_leave_keyring(void);

/* No page is merged with an equal one of another process (KSM): how long a write takes would tell what others
 * have in memory. The setting is inherited by fork and exec; what a program has asked for with madvise()
 * stays.
 */
int sandwire_leave_memory_merging(void);

/* Default signal dispositions and an empty signal mask, as execve(2) keeps what is ignored or blocked. */
int sandwire_reset_signals(void);

/* Becomes SANDWIRE_INSIDE_ID. drop_groups: whether the supplementary groups can be dropped, which the kernel
 * only allows where the gid map was written with privilege (user_namespaces(7), setgroups). */
int sandwire_become_inside_user(bool drop_groups);

/* Empties the bounding set, which only CAP_SETPCAP may do. */
int sandwire_drop_bounding_set(void);

/* Empties the ambient, inheritable, effective and permitted sets, which everybody may do. keep: one
 * capability that stays permitted (not effective), or -1. */
int sandwire_clear_capabilities(int keep);

/* The last steps into a sandbox, for whoever has joined its namespaces and has all capabilities in them:
 * becomes the inside user, drops every capability (the bounding set has been dropped before), forbids new
 * privileges and puts Landlock rules in force, which are closed (landlock_rules < 0: none). *step is the one
 * that failed. */
int sandwire_become_unprivileged(bool drop_groups, int landlock_rules, enum sandwire_setup_step *step);

/* Enters a cgroup by its cgroup.procs, opened for writing by whoever may, and makes it the top of all that
 * can be seen of cgroups. */
int sandwire_join_cgroup(int procs_fd);

/* Closes every fd but the count ascending ones in keep. */
int sandwire_close_all_fds_but(const int *keep, size_t count);

#endif
