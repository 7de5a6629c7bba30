/* Giving things up, step by step. Runs in the process that is about to become a sandboxee, inside the sandbox's
 * namespaces, single-threaded. Async-signal-safe, allocates nothing. Every call: 0, or -1 with errno. */
#ifndef SANDWIRE_PRIVILEGES_H
#define SANDWIRE_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The uid and gid of a sandboxee inside its user namespace. */
enum { SANDWIRE_INSIDE_ID = 1000 };

/* A session and a session keyring of its own: no controlling terminal, no process group, no keys of the host's. */
int sandwire_leave_session(void);

/* Default signal dispositions and an empty signal mask, as execve(2) keeps what is ignored or blocked. */
int sandwire_reset_signals(void);

/* Becomes SANDWIRE_INSIDE_ID. drop_groups: whether the supplementary groups can be dropped, which the kernel only
 * allows where the gid map was written with privilege (user_namespaces(7), setgroups). */
int sandwire_become_inside_user(bool drop_groups);

/* Empties the bounding, ambient, inheritable, effective and permitted sets. keep: one capability that stays
 * permitted (not effective), or -1. */
int sandwire_drop_capabilities(int keep);

/* Closes every fd but the count ascending ones in keep. */
int sandwire_close_all_fds_but(const int *keep, size_t count);

#endif
