/* What the supervisor sends to the unwinder: this struct, up to its last thread, as one message on its
 * standard input, a socket. The seccomp listener comes with it if there is one, and becomes fd 3. The answer
 * is a StackTraces message (protocol/control.proto), one message on its standard output, which is the same
 * socket. */
#ifndef UNWINDER_REQUEST_H
#define UNWINDER_REQUEST_H

#include <stdint.h>
#include <sys/user.h>

enum { UNWIND_MAX_THREADS = 64, UNWIND_LISTENER_FD = 3, UNWIND_ANSWER_SIZE = 48 * 1024 };

typedef struct user_regs_struct unwind_registers;

struct unwind_request {
  int32_t pid; /* the process */
  int32_t tid; /* the relevant thread */
  int32_t all_threads;
  /* 0: the threads still run, and the unwinder has to stop them. Otherwise they stand still, with these
   * registers. */
  int32_t thread_count;
  int32_t has_listener;
  uint64_t notification; /* to be answered once the thread is certain to stop: it waits only for this */
  struct unwind_thread {
    int32_t tid;
    int32_t registers_size; /* as PTRACE_GETREGSET returns it; 0: the thread could not be stopped */
    unwind_registers registers;
  } threads[UNWIND_MAX_THREADS];
};

#endif
