/* A child of the supervisor, direct or by reparenting, watched by its pidfd until it is reaped. */
#ifndef SUPERVISOR_PROCESS_H
#define SUPERVISOR_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "event_loop.h"

struct process {
  struct watch watch;              /* fd: its pidfd, -1 when it is not there */
  pid_t pid;                       /* 0: not there (yet, or any more) */
  struct process *next, *previous; /* all that are watched */
  /* It has been reaped, and pid is 0 again. */
  void (*ended)(struct process *process, const siginfo_t *info, const struct rusage *usage);
  /* May be NULL. It has ended, and another process that traces it must go before it can be reaped
   * (ptrace(2)). */
  void (*withheld)(struct process *process);
};

void process_init(struct process *process);

/* As fork(), for a child that sets a parent-death signal first of all, and makes no session of its own. A
 * child that is stopped (SIGSTOP) before it could do so would outlive us. In a process group of its own it
 * does not: the end of its parent makes the group an orphaned one, and a stopped process in such a group is
 * sent SIGHUP and SIGCONT (kill_orphaned_pgrp() in the kernel's exit.c). That works because this process
 * leads a session. */
pid_t process_fork(void);

/* Begins to watch a child that is not reaped yet. If that cannot be done the child is killed and reaped:
 * false, with errno. */
bool process_watch(struct process *process, pid_t pid,
                   void (*ended)(struct process *, const siginfo_t *, const struct rusage *));

/* What another one watches is watched by this one from now on. False with errno: nothing has changed. */
bool process_move(struct process *process, struct process *from,
                  void (*ended)(struct process *, const siginfo_t *, const struct rusage *));

/* Whether somebody here watches this child. */
bool process_is_watched(pid_t pid);

/* For who has reaped it otherwise: as its tracer, which hears of everything by one wait. */
void process_was_reaped(struct process *process, const siginfo_t *info, const struct rusage *usage);

/* SIGKILL, if it is there. */
void process_kill(const struct process *process);

/* Whether a process, or a thread, is on its way out, or gone. */
bool process_is_exiting(pid_t pid);

#endif
