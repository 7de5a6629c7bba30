/* Orphans: processes that come to the supervisor, as their nearest subreaper, because their parent has ended.
 * That happens when a process of ours is killed between its fork and its report of it, from outside or for
 * lack of memory; and a program can leave the supervisor a child by clone() with CLONE_PARENT,
 * which every policy refuses, but nothing refuses before sandboxMeHere(). They die with their sandbox, and
 * one that is not reaped holds up the end of all of it (zap_pid_ns_processes() in the kernel's
 * pid_namespace.c). Runs in the supervisor. */
#ifndef SUPERVISOR_ORPHANS_H
#define SUPERVISOR_ORPHANS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* A part of the supervisor that has children of which loop/process.h does not know (yet) claims them, and
 * they are not taken for orphans. One static object for each such part. */
struct orphan_claim {
  bool (*claims)(pid_t pid);
  struct orphan_claim *next;
  bool is_made;
};

/* Makes the claim, once. */
void orphans_claim(struct orphan_claim *claim);

/* A process of ours that forks another has ended, and what it reported is watched or claimed by now. */
void orphans_forker_ended(const siginfo_t *info);

/* A sandbox has been killed: should it not be gone in a moment, orphans may be why. */
void orphans_sandbox_killed(void);

/* It is gone. */
void orphans_sandbox_gone(void);

#endif
