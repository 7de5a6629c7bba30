#include "tracer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/child_signal.h"
#include "loop/orphans.h"
#include "loop/process.h"

enum {
  EVENTS_AT_ONCE = 128,
  /* A program that lives on signals, or makes threads by the thousand, is not followed for ever: each stop is
   * work of ours, and it could keep us busy on purpose. */
  MAX_STOPS = 4096
};

static struct follow *all;

/* ---- bookkeeping ---- */

struct followed_thread *follow_find(struct follow *follow, pid_t tid) {
  for (size_t i = 0; i < follow->count; i++) {
    if (follow->threads[i].tid == tid) {
      return &follow->threads[i];
    }
  }
  return NULL;
}

static struct follow *follow_of(pid_t tid) {
  struct follow *follow = all;
  while (follow != NULL && follow_find(follow, tid) == NULL) {
    follow = follow->next;
  }
  return follow;
}

/* Their ends come by this file's own wait. */
static bool is_followed(pid_t tid) {
  return follow_of(tid) != NULL;
}

static struct orphan_claim followed_threads = {.claims = is_followed};

static void forget_thread(struct follow *follow, struct followed_thread *thread) {
  *thread = follow->threads[--follow->count];
}

static bool read_status(pid_t tid, char *text, size_t size) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) {
    close(fd);
  }
  text[length > 0 ? length : 0] = '\0';
  return length > 0;
}

/* A number in /proc/<tid>/status; fallback if there is no such line. */
static uint64_t status_number(const char *status, const char *line, int base, uint64_t fallback) {
  const char *at = strstr(status, line);
  return at == NULL ? fallback : strtoull(at + strlen(line), NULL, base);
}

/* Whether the signal ends the process: signal(7), "Standard signals", unless it is handled or ignored. */
static bool is_fatal(pid_t tid, int signal) {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return false;
    default:
      break;
  }
  char status[4096];
  if (!read_status(tid, status, sizeof(status))) {
    return false;
  }
  const uint64_t bit = UINT64_C(1) << (signal - 1);
  return (status_number(status, "\nSigCgt:", 16, bit) & bit) == 0 &&
         (status_number(status, "\nSigIgn:", 16, bit) & bit) == 0;
}

/* ---- what the kernel tells ---- */

/* A thread that was made by one that is followed, and is followed therefore. */
static struct follow *adopt(pid_t tid) {
  char status[4096];
  if (!read_status(tid, status, sizeof(status))) {
    return NULL;
  }
  const pid_t pid = (pid_t)status_number(status, "\nTgid:", 10, 0);
  struct follow *follow = all;
  while (follow != NULL && follow->process->pid != pid) {
    follow = follow->next;
  }
  if (follow == NULL || follow->count == FOLLOW_MAX_THREADS) {
    if (follow != NULL) {
      follow->letting_go = true;
    }
    return NULL;
  }
  follow->threads[follow->count++] = (struct followed_thread){.tid = tid};
  return follow;
}

static void stand(struct follow *follow, struct followed_thread *thread, enum follow_stop why, int signal) {
  thread->stopped = true;
  thread->signal = signal;
  follow->stopped(follow, thread, why);
}

static void go_on(pid_t tid, int signal) {
  (void)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal); /* ESRCH: it has been killed */
}

static void on_stop(pid_t tid, int signal, int event) {
  struct follow *follow = follow_of(tid);
  if (follow == NULL) {
    follow = adopt(tid);
  }
  if (follow == NULL) {
    (void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
    return;
  }
  struct followed_thread *thread = follow_find(follow, tid);
  if (++follow->stops > MAX_STOPS) {
    follow->letting_go = true;
  }
  if (follow->letting_go && !follow->interrupting) {
    forget_thread(follow, thread);
    (void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
    return;
  }
  switch (event) {
    case 0:
      if (is_fatal(tid, signal)) {
        stand(follow, thread, FOLLOW_FATAL_SIGNAL, signal);
      } else {
        go_on(tid, signal);
      }
      break;
    case PTRACE_EVENT_EXIT:
      if (tid == follow->process->pid) {
        stand(follow, thread, FOLLOW_EXITING, 0);
      } else {
        go_on(tid, 0);
      }
      break;
    case PTRACE_EVENT_STOP:
      if (follow->interrupting) {
        stand(follow, thread, FOLLOW_INTERRUPTED, 0);
      } else if (signal == SIGTRAP) { /* a new thread, or one that was stopped goes on */
        go_on(tid, 0);
      } else { /* it has stopped itself, and stays so */
        (void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
      }
      break;
    default:
      go_on(tid, 0);
      break;
  }
}

static void on_end(pid_t tid, const siginfo_t *info, const struct rusage *usage) {
  struct follow *follow = follow_of(tid);
  if (follow == NULL) {
    return;
  }
  forget_thread(follow, follow_find(follow, tid));
  if (follow->process->pid == tid) {
    process_was_reaped(follow->process, info, usage);
  }
}

static void on_children(void) {
  for (int i = 0; i < EVENTS_AT_ONCE; i++) {
    siginfo_t info;
    struct rusage usage;
    memset(&info, 0, sizeof(info));
    /* __WCLONE leaves out our own children, which have their pidfds, and not what we trace (eligible_child()
     * in the kernel's exit.c). */
    if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | __WCLONE, &usage) != 0 ||
        info.si_pid == 0) {
      return;
    }
    if (info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED) {
      on_stop(info.si_pid, info.si_status & 0xff, info.si_status >> 8);
    } else {
      on_end(info.si_pid, &info, &usage);
    }
  }
  raise(SIGCHLD); /* the rest, after others have had their turn */
}

/* ---- requests ---- */

static bool seize(struct follow *follow, pid_t tid, bool until_exit) {
  const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | (until_exit ? PTRACE_O_TRACEEXIT : 0);
  if (follow->count == FOLLOW_MAX_THREADS || ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) != 0) {
    return false;
  }
  follow->threads[follow->count++] = (struct followed_thread){.tid = tid};
  return true;
}

/* One that calls sandboxMeHere() may have threads already. */
static void seize_others(struct follow *follow, bool until_exit) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/task", (int)follow->process->pid);
  DIR *directory = opendir(path);
  const struct dirent *entry;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (tid > 0 && tid != follow->process->pid) {
      (void)seize(follow, tid, until_exit); /* EPERM: made since, and followed already */
    }
  }
  if (directory != NULL) {
    closedir(directory);
  }
}

bool follow_begin(struct follow *follow, struct process *process, bool until_exit, bool may_have_threads) {
  if (!child_signal_listen(on_children)) {
    return false;
  }
  orphans_claim(&followed_threads);
  follow->count = 0;
  follow->stops = 0;
  follow->letting_go = follow->interrupting = false;
  if (!seize(follow, process->pid, until_exit)) {
    return false;
  }
  follow->process = process;
  follow->previous = NULL;
  follow->next = all;
  if (all != NULL) {
    all->previous = follow;
  }
  all = follow;
  if (may_have_threads) {
    seize_others(follow, until_exit);
  }
  return true;
}

void follow_end(struct follow *follow) {
  if (follow->process == NULL) {
    return;
  }
  follow->process = NULL;
  follow->count = 0;
  if (follow->previous != NULL) {
    follow->previous->next = follow->next;
  } else {
    all = follow->next;
  }
  if (follow->next != NULL) {
    follow->next->previous = follow->previous;
  }
}

void follow_interrupt(struct follow *follow, struct followed_thread *thread) {
  follow->interrupting = true;
  (void)ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL); /* ESRCH: it has been killed */
}

void follow_resume(struct follow *follow) {
  follow->interrupting = false;
  for (size_t i = 0; i < follow->count; i++) {
    if (follow->threads[i].stopped) {
      follow->threads[i].stopped = false;
      go_on(follow->threads[i].tid, follow->threads[i].signal);
    }
  }
}
