/* A child of the supervisor, direct or by reparenting, watched by its pidfd until it is reaped. */
#ifndef SUPERVISOR_PROCESS_H
#define SUPERVISOR_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "event_loop.h"

struct process {
  struct watch watch;              /* fd: its pidfd, -1 if there is no process */
  pid_t pid;                       /* 0: there is no process */
  struct process *next, *previous; /* all that are watched */
  /* It has been reaped, and pid is 0 again. */
  void (*ended)(struct process *process, const siginfo_t *info, const struct rusage *usage);
  /* May be NULL. It has ended, and cannot be reaped until another process stops tracing it (ptrace(2)). */
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

/* True if this child is watched. */
bool process_is_watched(pid_t pid);

/* For the tracer, which reaps what it traces by a wait of its own. */
void process_was_reaped(struct process *process, const siginfo_t *info, const struct rusage *usage);

/* SIGKILL, if there is a process. */
void process_kill(const struct process *process);

/* True if a process, or a thread, is exiting, or gone. */
bool process_is_exiting(pid_t pid);

#endif
