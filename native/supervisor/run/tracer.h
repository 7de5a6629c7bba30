/* Follows the threads of a process by ptrace, so that a thread that is about to die by a signal, or to exit,
 * can be held and looked at. Syscalls run at full speed; signals and new threads stop a thread for a moment.
 * Runs in the supervisor, which never waits for a thread to stop: SIGCHLD reports it.
 *
 * If the supervisor dies, the traced threads die with it (PTRACE_O_EXITKILL). */
#ifndef SUPERVISOR_TRACER_H
#define SUPERVISOR_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process;

enum { TRACER_MAX_THREADS = 64 };

enum tracer_stop {
  TRACER_FATAL_SIGNAL, /* it is going to die by the signal */
  TRACER_EXITING,      /* the first thread of the process is exiting */
  TRACER_INTERRUPTED,  /* as tracer_interrupt() asked for */
};

struct traced_thread {
  pid_t tid;
  bool stopped;
  int signal; /* delivered when it goes on; 0: none */
};

struct tracer {
  struct tracer *next, *previous;
  struct process *process; /* NULL: nothing is traced */
  struct traced_thread threads[TRACER_MAX_THREADS];
  size_t count;
  unsigned stops;
  bool letting_go; /* no longer worth it: every thread is detached when it stops next */
  bool interrupting;
  /* The thread stands still until tracer_resume(). */
  void (*stopped)(struct tracer *tracer, struct traced_thread *thread, enum tracer_stop why);
};

/* Begins, with all threads of the process (may_have_threads: it may have more than one); stopped is set
 * before. False with errno if that is not possible, for example if ptrace is not allowed here. This call
 * would wait for an execve(2) of the process (cred_guard_mutex in the kernel's ptrace_attach()), so it must
 * not be in one: it waits in a seccomp notification. */
bool tracer_begin(struct tracer *tracer, struct process *process, bool until_exit, bool may_have_threads);

/* The process has been reaped: forgets it. */
void tracer_end(struct tracer *tracer);

/* NULL: this thread is not traced. */
struct traced_thread *tracer_find(struct tracer *tracer, pid_t tid);

/* The thread will stop, if it has not. */
void tracer_interrupt(struct tracer *tracer, struct traced_thread *thread);

/* All stopped threads go on, each with its signal. */
void tracer_resume(struct tracer *tracer);

#endif
