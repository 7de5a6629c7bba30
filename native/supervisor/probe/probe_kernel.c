#include "probe_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/landlock.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

int probe_no_new_privileges(long *value) {
  (void)value;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

/* getppid() gets the action, everything else is allowed. Returns what seccomp(2) returns. */
static int filter_getppid(unsigned action, unsigned long flags) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof(program) / sizeof(program[0]), .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return -1;
  }
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

int probe_seccomp_filter(long *value) {
  (void)value;
  if (filter_getppid(SECCOMP_RET_ERRNO | EXDEV, SECCOMP_FILTER_FLAG_TSYNC) != 0) {
    return errno;
  }
  return syscall(SYS_getppid) < 0 && errno == EXDEV ? 0 : ENOSYS;
}

static int notify(unsigned long flags) {
  int listener =
      filter_getppid(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC |
                                                 SECCOMP_FILTER_FLAG_TSYNC_ESRCH | flags);
  if (listener < 0) {
    return errno;
  }
  pid_t asker = fork();
  if (asker == 0) {
    _exit(syscall(SYS_getppid) > 0 ? 0 : 1);
  }
  struct seccomp_notif notification;
  struct seccomp_notif_resp response;
  memset(&notification, 0, sizeof(notification));
  memset(&response, 0, sizeof(response));
  if (asker < 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
    return errno;
  }
  response.id = notification.id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0) {
    return errno;
  }
  int status = 0;
  return waitpid(asker, &status, 0) == asker && status == 0 ? 0 : ENOSYS;
}

int probe_seccomp_notify(long *value) {
  (void)value;
  return notify(0);
}

int probe_seccomp_wait_killable(long *value) {
  (void)value;
  return notify(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
}

int probe_pidfd(long *value) {
  (void)value;
  int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  return pidfd >= 0 && syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 ? 0 : errno;
}

/* A child in a user namespace of its own where that is possible, as sandboxees are. It waits to be killed. */
static pid_t waiting_child(void) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    return -1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    (void)!unshare(CLONE_NEWUSER);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (write(ready[1], "r", 1) == 1) {
      for (;;) {
        pause();
      }
    }
    _exit(1);
  }
  close(ready[1]);
  char byte;
  if (pid > 0 && read(ready[0], &byte, 1) != 1) {
    errno = ECHILD;
    return -1;
  }
  return pid;
}

static int end_child(pid_t pid, int error) {
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
  return error;
}

int probe_pidfd_getfd(long *value) {
  (void)value;
  pid_t pid = waiting_child();
  if (pid < 0) {
    return errno;
  }
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  int error = pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 1, 0) >= 0 ? 0 : errno;
  return end_child(pid, error);
}

int probe_ptrace(long *value) {
  (void)value;
  pid_t pid = waiting_child();
  if (pid < 0) {
    return errno;
  }
  return end_child(pid, ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0 ? 0 : errno);
}

int probe_sealed_memory(long *value) {
  (void)value;
  int fd = (int)syscall(SYS_memfd_create, "probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return fd >= 0 && ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0
             ? 0
             : errno;
}

int probe_close_range(long *value) {
  (void)value;
  return syscall(SYS_close_range, 100000u, UINT_MAX, 0) == 0 ? 0 : errno;
}

int probe_null_device(long *value) {
  (void)value;
  return open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 ? 0 : errno;
}

int probe_open_files(long *value) {
  enum { NEEDED = 1100 }; /* the numbers of a launch lie above 1023 */
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return errno;
  }
  *value = files.rlim_max > LONG_MAX ? LONG_MAX : (long)files.rlim_max;
  return files.rlim_max >= NEEDED ? 0 : EMFILE;
}

int probe_speculation(long *value) {
  int state = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  *value = state;
  if (state < 0) {
    return errno;
  }
  /* 0: this CPU has no such flaw, and there is nothing to switch. */
  return state == 0 || (state & PR_SPEC_PRCTL) != 0 ? 0 : EPERM;
}

int probe_core_dumps(long *value) {
  (void)value;
  char pattern = '\0';
  const int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, &pattern, 1) < 0) {
    return errno;
  }
  if (pattern == '@') { /* a socket, since Linux 6.16: no limit counts (coredump_socket() in fs/coredump.c) */
    return EOPNOTSUPP;
  }
  return pattern != '|' || setrlimit(RLIMIT_CORE, &(struct rlimit){1, 1}) == 0 ? 0 : errno;
}

int probe_landlock(long *value) {
  int abi = landlock_abi();
  *value = abi < 0 ? 0 : abi;
  return abi < 0 ? errno : 0;
}
