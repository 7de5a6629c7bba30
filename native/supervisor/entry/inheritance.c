#include "inheritance.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "privileges.h"

/* linux/ioprio.h, which the C library does not have: class in the upper three bits, 1 is real-time, and 0
 * follows the niceness. */
enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_CLASS_SHIFT = 13, IOPRIO_CLASS_REAL_TIME = 1 };

/* linux/prctl.h, whose copy on the build machine may be older. */
enum { SET_IO_FLUSHER = 57 };

/* As browsers do with what shows pages. Anything from -1000 (never) to 1000 (first). */
enum { OOM_SCORE = 300 };

const char *inheritance_renounce(void) {
  static const __rlimit_resource_t ranks[] = {RLIMIT_RTPRIO, RLIMIT_NICE};
  const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  const struct sched_param none = {.sched_priority = 0};
  if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE &&
      sched_setscheduler(0, SCHED_OTHER, &none) != 0) {
    return "real-time scheduling";
  }
  errno = 0;
  const int nice = getpriority(PRIO_PROCESS, 0);
  if ((nice == -1 && errno != 0) || (nice < 0 && setpriority(PRIO_PROCESS, 0, 0) != 0)) {
    return "niceness";
  }
  const long io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
  if (io >= 0 && io >> IOPRIO_CLASS_SHIFT == IOPRIO_CLASS_REAL_TIME &&
      syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0) != 0) {
    return "real-time I/O";
  }
  for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
    if (setrlimit(ranks[i], &(struct rlimit){0, 0}) != 0) {
      return "RLIMIT_RTPRIO and RLIMIT_NICE";
    }
  }
  /* With a hard limit of 0 a sandboxee could not be given the limit that keeps its memory from a core_pattern
   * program (limits.c). EPERM: an ordinary user's host cannot help it. */
  struct rlimit core;
  if (getrlimit(RLIMIT_CORE, &core) != 0 ||
      (core.rlim_max == 0 && setrlimit(RLIMIT_CORE, &(struct rlimit){0, 1}) != 0 && errno != EPERM)) {
    return "RLIMIT_CORE";
  }
  if (sandwire_leave_memory_merging() != 0) {
    return "PR_SET_MEMORY_MERGE";
  }
  /* A process that writes pages out for others gets the kernel's last memory. EPERM: only CAP_SYS_RESOURCE
   * can take and give this up. */
  if (prctl(SET_IO_FLUSHER, 0, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM) {
    return "PR_SET_IO_FLUSHER";
  }
  return personality(PER_LINUX) == -1 ? "personality" : NULL;
}

int inheritance_reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  /* main.c ignores SIGPIPE, child_signal.c blocks SIGCHLD. */
  return signal(SIGPIPE, SIG_DFL) == SIG_ERR ? -1 : sigprocmask(SIG_SETMASK, &none, NULL);
}

int inheritance_volunteer_for_oom(void) {
  char text[16];
  int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  ssize_t size = read(fd, text, sizeof(text) - 1);
  int result = size > 0 ? 0 : -1;
  if (size > 0) {
    text[size] = '\0';
    /* Any process may raise it; a higher one stays. */
    if (strtol(text, NULL, 10) < OOM_SCORE) {
      size = snprintf(text, sizeof(text), "%d", OOM_SCORE);
      result = pwrite(fd, text, (size_t)size, 0) == size ? 0 : -1;
    }
  }
  close(fd);
  return result;
}
