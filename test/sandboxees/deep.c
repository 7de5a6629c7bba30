/* deep HOW WHERE: does something in a function of a known name, called through functions of known names.
 *
 * HOW    crash, abort, violate, sleep, exit, nowhere (calls a null pointer)
 * WHERE  here, recursion (5 deep), far (20,000 deep), library (5 deep in it), thread, alone (a thread, when
 * the main one has ended), child, handler (of a signal) */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deep_library.h"

static const char *how;

__attribute__((noinline)) static int crash_me(void) {
  volatile uintptr_t nowhere = 16; /* volatile: the compiler must not see that it is wrong */
  *(volatile int *)nowhere = 1;
  return 1;
}

__attribute__((noinline)) static int violate_policy(void) {
  return (int)syscall(SYS_ptrace, 0, 0, 0, 0) + 1; /* refused under any policy */
}

__attribute__((noinline)) static int sleep_long(void) {
  static const char text[] = "asleep\n";
  volatile ssize_t written =
      write(STDOUT_FILENO, text, sizeof text - 1); /* volatile: nothing is in tail position */
  sleep(1000);
  return written > 0;
}

__attribute__((noinline)) static int call_nowhere(void) {
  int (*volatile function)(void) = NULL;
  return function() + 1;
}

__attribute__((noinline)) static int exit_here(void) {
  _exit(5);
}

__attribute__((noinline)) static int do_it(void) {
  volatile int result = 0;
  if (strcmp(how, "crash") == 0) {
    result = crash_me();
  } else if (strcmp(how, "abort") == 0) {
    abort();
  } else if (strcmp(how, "violate") == 0) {
    result = violate_policy();
  } else if (strcmp(how, "sleep") == 0) {
    result = sleep_long();
  } else if (strcmp(how, "nowhere") == 0) {
    result = call_nowhere();
  } else {
    result = exit_here();
  }
  return result;
}

__attribute__((noinline)) static int recurse(int depth) {
  volatile int result = depth > 0 ? recurse(depth - 1) : do_it();
  return result + 1;
}

static void *thread_main(void *argument) {
  (void)argument;
  volatile int result = do_it();
  return (void *)(intptr_t)result;
}

/* The kernel sets it to 0 when the main thread has ended, and wakes who waits for that (set_tid_address(2)).
 */
static int main_thread = 1;

static void *thread_alone(void *argument) {
  while (__atomic_load_n(&main_thread, __ATOMIC_ACQUIRE) != 0) {
    syscall(SYS_futex, &main_thread, FUTEX_WAIT, 1, NULL, NULL, 0);
  }
  return thread_main(argument);
}

static void on_signal(int signal) {
  (void)signal;
  volatile int result = do_it();
  (void)result;
}

__attribute__((noinline)) static int run_test(const char *where) {
  volatile int result = 0;
  if (strcmp(where, "recursion") == 0) {
    result = recurse(5);
  } else if (strcmp(where, "far") == 0) {
    result = recurse(20000);
  } else if (strcmp(where, "library") == 0) {
    result = deep_recurse(5, do_it);
  } else if (strcmp(where, "thread") == 0) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_main, NULL) == 0) {
      pthread_join(thread, NULL);
    }
  } else if (strcmp(where, "alone") == 0) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_alone, NULL) == 0) {
      syscall(SYS_set_tid_address, &main_thread);
      syscall(SYS_exit, 0);
    }
  } else if (strcmp(where, "child") == 0) {
    pid_t child = fork();
    if (child == 0) {
      _exit(do_it());
    }
    waitpid(child, NULL, 0);
    sleep(100);
  } else if (strcmp(where, "handler") == 0) {
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
  } else {
    result = do_it();
  }
  return result;
}

int main(int argc, char **argv) {
  how = argc > 1 ? argv[1] : "";
  return run_test(argc > 2 ? argv[2] : "");
}
