#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct process *watched;

static void enlist(struct process *process) {
  process->previous = NULL;
  process->next = watched;
  if (watched != NULL) {
    watched->previous = process;
  }
  watched = process;
}

static void strike_off(struct process *process) {
  if (process->previous != NULL) {
    process->previous->next = process->next;
  } else {
    watched = process->next;
  }
  if (process->next != NULL) {
    process->next->previous = process->previous;
  }
}

bool process_is_watched(pid_t pid) {
  const struct process *process = watched;
  while (process != NULL && process->pid != pid) {
    process = process->next;
  }
  return process != NULL;
}

void process_init(struct process *process) {
  process->watch.fd = -1;
  process->pid = 0;
  process->withheld = NULL;
}

void process_was_reaped(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  event_loop_close(&process->watch);
  strike_off(process);
  process->pid = 0;
  process->ended(process, info, usage);
}

static void on_pidfd(struct watch *watch, uint32_t events) {
  (void)events;
  struct process *process = (struct process *)watch; /* its first member */
  siginfo_t info;
  struct rusage usage;
  memset(&info, 0, sizeof(info));
  /* By syscall: the C library's waitid has no rusage. */
  if (syscall(SYS_waitid, P_PID, process->pid, &info, WEXITED | WNOHANG | __WALL, &usage) != 0) {
    return;
  }
  if (info.si_pid != 0) {
    process_was_reaped(process, &info, &usage);
  } else if (process->withheld != NULL) {
    process->withheld(process);
  }
}

pid_t process_fork(void) {
  const pid_t pid = fork();
  if (pid > 0) {
    (void)setpgid(pid, pid); /* ESRCH: it has ended already */
  }
  return pid;
}

bool process_watch(struct process *process, pid_t pid,
                   void (*ended)(struct process *, const siginfo_t *, const struct rusage *)) {
  /* The pid cannot be another's yet: it is reaped only here. */
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0 && event_loop_add(&process->watch, pidfd, EPOLLIN, on_pidfd) == 0) {
    process->pid = pid;
    process->ended = ended;
    enlist(process);
    return true;
  }
  int error = errno;
  if (pidfd >= 0) {
    close(pidfd);
  }
  /* No fd or memory is left. A process that cannot be watched must not run. */
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
  errno = error;
  return false;
}

bool process_move(struct process *process, struct process *from,
                  void (*ended)(struct process *, const siginfo_t *, const struct rusage *)) {
  if (event_loop_move(&process->watch, &from->watch, EPOLLIN) != 0) {
    return false;
  }
  process->pid = from->pid;
  process->ended = ended;
  enlist(process);
  strike_off(from);
  from->pid = 0;
  return true;
}

void process_kill(const struct process *process) {
  if (process->pid > 0) {
    kill(process->pid, SIGKILL);
  }
}

bool process_is_exiting(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return true;
  }
  ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) {
    return true;
  }
  text[size] = '\0';
  /* Field 9, counted from behind the name, which may hold anything: the kernel's PF_… flags. */
  enum { PF_EXITING = 0x4 };
  unsigned flags = 0;
  const char *after_name = strrchr(text, ')');
  if (after_name == NULL || sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) {
    return true;
  }
  return (flags & PF_EXITING) != 0;
}
