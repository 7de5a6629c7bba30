/* Follows the threads of a process by ptrace, so that one that is about to die by a signal, or to exit, can
 * be stopped and looked at before. Syscalls run at full speed; signals and new threads stop the thread for a
 * moment. Runs in the supervisor, which never waits for a thread to stop: it hears of it by SIGCHLD.
 *
 * A tracer that dies takes what it follows with it (PTRACE_O_EXITKILL). */
#ifndef SUPERVISOR_TRACER_H
#define SUPERVISOR_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process;

enum { TRACER_MAX_THREADS = 64 };

enum tracer_stop {
  TRACER_FATAL_SIGNAL, /* which it is going to die by */
  TRACER_EXITING,      /* its last thread, the first of the process, is leaving */
  TRACER_INTERRUPTED,  /* as tracer_interrupt() asked for */
};

struct traced_thread {
  pid_t tid;
  bool stopped;
  int signal; /* delivered when it goes on; 0: none */
};

struct tracer {
  struct tracer *next, *previous;
  struct process *process; /* NULL: nothing is followed */
  struct traced_thread threads[TRACER_MAX_THREADS];
  size_t count;
  unsigned stops;
  bool letting_go; /* no longer worth it: every thread is let go when it stops next */
  bool interrupting;
  /* The thread stands still until tracer_resume(). */
  void (*stopped)(struct tracer *tracer, struct traced_thread *thread, enum tracer_stop why);
};

/* Begins, with all threads that are there (may_have_threads: more than one); stopped is set before. False
 * with errno if that cannot be: ptrace is not allowed here, for one. The process must not be in execve(2),
 * for which this call would wait (cred_guard_mutex in the kernel's ptrace_attach()): it stands in a seccomp
 * notification. */
bool tracer_begin(struct tracer *tracer, struct process *process, bool until_exit, bool may_have_threads);

/* Forgets all of it; the process has been reaped. */
void tracer_end(struct tracer *tracer);

/* NULL: this thread is not followed. */
struct traced_thread *tracer_find(struct tracer *tracer, pid_t tid);

/* The thread will stop, unless it has. */
void tracer_interrupt(struct tracer *tracer, struct traced_thread *thread);

/* All that stand still go on, each with its signal. */
void tracer_resume(struct tracer *tracer);

#endif
