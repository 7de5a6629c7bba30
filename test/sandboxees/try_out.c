/* try_out WHAT: does what a preset is for, and exits with 0 on success, otherwise with errno or 100 and more.
 *   malloc        allocates, grows, shrinks and frees all sizes; "malloc threads": in two threads
 *   isatty        asks whether standard output is a terminal, which it is not
 *   timers        uses timers that send a signal, send this thread one, or do nothing
 *   timer-thread  uses a timer that starts a thread
 *   ptrace, bpf   makes that call
 *   safe-bpf      looks up an element of a map that does not exist
 *   speculation   exits with the state of speculative store bypass, as prctl() returns it, plus 50
 *   own-filter    answers its own getpriority() by a filter, as if that could hide a violation
 *   mapped NAME   exits with the number of the fd of this name */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sandwire/sandwire.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void *use_malloc(void *unused) {
  (void)unused;
  for (size_t size = 1; size < (4 << 20); size = size * 3 + 1) {
    char *block = malloc(size);
    char *zeroed = calloc(size, 2);
    char *grown = realloc(block, size * 4);
    if (grown == NULL || zeroed == NULL || zeroed[size] != 0) {
      return (void *)1;
    }
    memset(grown, 1, size * 4);
    grown = realloc(grown, size);
    free(grown);
    free(zeroed);
  }
  return NULL;
}

static int malloc_in_threads(void) {
  pthread_t thread;
  void *failed;
  if (pthread_create(&thread, NULL, use_malloc, NULL) != 0 || use_malloc(NULL) != NULL) {
    return 100;
  }
  return pthread_join(thread, &failed) == 0 && failed == NULL ? 0 : 101;
}

static int answer_by_own_filter(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 42),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0) {
    return syscall(SYS_getpriority, 0, 0) < 0 ? errno : 101;
  }
  const int refusal = errno;
  syscall(SYS_getpriority, 0, 0);
  return refusal;
}

static volatile sig_atomic_t fired;

static void on_signal(int number) {
  (void)number;
  fired++;
}

static void on_thread(union sigval value) {
  (void)value;
  fired++;
}

static int fire(int notify) {
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = notify;
  event.sigev_signo = SIGUSR1;
  event.sigev_notify_function = on_thread;
  if (notify == SIGEV_THREAD_ID) {
    event._sigev_un._tid = (int)syscall(SYS_gettid);
  }
  timer_t timer;
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
    return errno;
  }
  const struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
  struct itimerspec left;
  fired = 0;
  if (timer_settime(timer, 0, &soon, NULL) != 0) {
    return errno;
  }
  for (int i = 0; i < 2000 && (notify == SIGEV_NONE || fired == 0); i++) {
    const struct timespec pause = {.tv_nsec = 1000000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    if (notify == SIGEV_NONE && timer_gettime(timer, &left) == 0 && left.it_value.tv_nsec == 0) {
      break;
    }
  }
  return timer_getoverrun(timer) < 0 || timer_delete(timer) != 0 ? errno
         : notify != SIGEV_NONE && fired == 0                    ? 102
                                                                 : 0;
}

static int timers(void) {
  signal(SIGUSR1, on_signal);
  int result = fire(SIGEV_NONE);
  result = result == 0 ? fire(SIGEV_SIGNAL) : result;
  return result == 0 ? fire(SIGEV_THREAD_ID) : result;
}

static int call_bpf(int command) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_fd = 999;
  return syscall(SYS_bpf, command, &attributes, sizeof attributes) < 0 ? errno : 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "malloc") == 0) {
    return argc > 2 ? malloc_in_threads() : use_malloc(NULL) == NULL ? 0 : 100;
  } else if (strcmp(what, "isatty") == 0) {
    return isatty(1) ? 100 : 0;
  } else if (strcmp(what, "timers") == 0) {
    return timers();
  } else if (strcmp(what, "timer-thread") == 0) {
    return fire(SIGEV_THREAD);
  } else if (strcmp(what, "ptrace") == 0) {
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
  } else if (strcmp(what, "bpf") == 0) {
    return call_bpf(BPF_MAP_CREATE);
  } else if (strcmp(what, "safe-bpf") == 0) {
    return call_bpf(BPF_MAP_LOOKUP_ELEM);
  } else if (strcmp(what, "speculation") == 0) {
    return 50 + prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  } else if (strcmp(what, "own-filter") == 0) {
    return answer_by_own_filter();
  } else if (strcmp(what, "mapped") == 0 && argc > 2) {
    struct sandwire_client *client = sandwire_client_create(sandwire_comms_default());
    int fd = client == NULL ? -1 : sandwire_client_mapped_fd(client, argv[2]);
    return fd < 0 ? 100 : fd % 100;
  }
  return 200;
}
