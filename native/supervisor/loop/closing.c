#include "closing.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <unistd.h>

#include "process.h"
#include "socket_io.h"

/* A closing process is interrupted so often. That ends the wait of a socket that lingers. */
static const struct itimerval interruption = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};

static bool is_null_device(int fd) {
  struct statx status; /* as it is known here: no file system is asked */
  return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
         S_ISCHR(status.stx_mode) && status.stx_rdev_major == 1 && status.stx_rdev_minor == 3;
}

/* What every run has: its program, its end of comms and of streams, /dev/null. */
static bool is_quick(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 || (flags & O_PATH) != 0 || sandwire_socket_is_empty(fd) || is_null_device(fd);
}

static void on_interruption(int signal) {
  (void)signal;
}

/* The closing process, which shares the supervisor's table of fds and nothing else. */
static _Noreturn void closing_main(const int *fds, size_t count, pid_t supervisor) {
  const struct sigaction action = {.sa_handler = on_interruption};
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == supervisor &&
      prctl(PR_SET_NAME, "sandwire-closer", 0, 0, 0) == 0 && sigaction(SIGALRM, &action, NULL) == 0 &&
      setitimer(ITIMER_REAL, &interruption, NULL) == 0) {
    for (size_t i = 0; i < count; i++) {
      if (fds[i] >= 0) {
        close(fds[i]);
      }
    }
  }
  _exit(0);
}

static void on_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  free(process);
}

static bool close_in_process(const int *fds, size_t count) {
  struct process *process = malloc(sizeof(*process));
  if (process == NULL) {
    return false;
  }
  process_init(process);
  const pid_t supervisor = getpid();
  const pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0) {
    closing_main(fds, count, supervisor);
  }
  if (pid < 0) {
    free(process);
    return false;
  }
  if (!process_watch(process, pid, on_end)) {
    free(process);
    return false; /* it is dead, and has closed some of them or none */
  }
  return true;
}

void close_foreign(const int *fds, size_t count) {
  bool is_any_slow = false;
  for (size_t i = 0; i < count; i++) {
    is_any_slow = is_any_slow || (fds[i] >= 0 && !is_quick(fds[i]));
  }
  if (is_any_slow && close_in_process(fds, count)) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (fds[i] >= 0) {
      close(fds[i]);
    }
  }
}
