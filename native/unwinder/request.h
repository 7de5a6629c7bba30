/* What the supervisor hands to the unwinder: this struct, as far as its threads go, as one message on its
 * standard input, a socket, and with it the seccomp listener where there is one, which becomes fd 3. The
 * answer is a StackTraces message (protocol/control.proto), one message on its standard output, which is the
 * same socket. */
#ifndef UNWINDER_REQUEST_H
#define UNWINDER_REQUEST_H

#include <stdint.h>
#include <sys/user.h>

enum { UNWIND_MAX_THREADS = 64, UNWIND_LISTENER_FD = 3, UNWIND_ANSWER_SIZE = 48 * 1024 };

typedef struct user_regs_struct unwind_registers;

struct unwind_request {
  int32_t pid; /* the process */
  int32_t tid; /* the thread that matters */
  int32_t all_threads;
  /* 0: the threads still run, and are the unwinder's to stop. Otherwise they stand still, and here is where.
   */
  int32_t thread_count;
  int32_t has_listener;
  uint64_t notification; /* to be answered once the thread is sure to stop: it waits for that alone */
  struct unwind_thread {
    int32_t tid;
    int32_t registers_size; /* as PTRACE_GETREGSET says; 0: it could not be stopped */
    unwind_registers registers;
  } threads[UNWIND_MAX_THREADS];
};

#endif
