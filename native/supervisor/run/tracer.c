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
  /* A program that gets many signals, or makes threads by the thousand, is not traced for ever: each stop is
   * work for the supervisor, and it could keep the supervisor busy on purpose. */
  MAX_STOPS = 4096
};

static struct tracer *all;

/* ---- bookkeeping ---- */

struct traced_thread *tracer_find(struct tracer *tracer, pid_t tid) {
  for (size_t i = 0; i < tracer->count; i++) {
    if (tracer->threads[i].tid == tid) {
      return &tracer->threads[i];
    }
  }
  return NULL;
}

static struct tracer *tracer_of(pid_t tid) {
  struct tracer *tracer = all;
  while (tracer != NULL && tracer_find(tracer, tid) == NULL) {
    tracer = tracer->next;
  }
  return tracer;
}

/* Their ends are reaped by on_children(). */
static bool is_traced(pid_t tid) {
  return tracer_of(tid) != NULL;
}

static struct orphan_claim traced_threads = {.claims = is_traced};

static void forget_thread(struct tracer *tracer, struct traced_thread *thread) {
  *thread = tracer->threads[--tracer->count];
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

/* True if the signal ends the process: signal(7), "Standard signals", unless it is handled or ignored. */
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

/* ---- what the kernel reports ---- */

/* A thread that a traced one has made; it is traced from its beginning. */
static struct tracer *adopt(pid_t tid) {
  char status[4096];
  if (!read_status(tid, status, sizeof(status))) {
    return NULL;
  }
  const pid_t pid = (pid_t)status_number(status, "\nTgid:", 10, 0);
  struct tracer *tracer = all;
  while (tracer != NULL && tracer->process->pid != pid) {
    tracer = tracer->next;
  }
  if (tracer == NULL || tracer->count == TRACER_MAX_THREADS) {
    if (tracer != NULL) {
      tracer->letting_go = true;
    }
    return NULL;
  }
  tracer->threads[tracer->count++] = (struct traced_thread){.tid = tid};
  return tracer;
}

static void stand(struct tracer *tracer, struct traced_thread *thread, enum tracer_stop why, int signal) {
  thread->stopped = true;
  thread->signal = signal;
  tracer->stopped(tracer, thread, why);
}

static void go_on(pid_t tid, int signal) {
  (void)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal); /* ESRCH: it has been killed */
}

static void on_stop(pid_t tid, int signal, int event) {
  struct tracer *tracer = tracer_of(tid);
  if (tracer == NULL) {
    tracer = adopt(tid);
  }
  if (tracer == NULL) {
    (void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
    return;
  }
  struct traced_thread *thread = tracer_find(tracer, tid);
  if (++tracer->stops > MAX_STOPS) {
    tracer->letting_go = true;
  }
  if (tracer->letting_go && !tracer->interrupting) {
    forget_thread(tracer, thread);
    (void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
    return;
  }
  switch (event) {
    case 0:
      if (is_fatal(tid, signal)) {
        stand(tracer, thread, TRACER_FATAL_SIGNAL, signal);
      } else {
        go_on(tid, signal);
      }
      break;
    case PTRACE_EVENT_EXIT:
      if (tid == tracer->process->pid) {
        stand(tracer, thread, TRACER_EXITING, 0);
      } else {
        go_on(tid, 0);
      }
      break;
    case PTRACE_EVENT_STOP:
      if (tracer->interrupting) {
        stand(tracer, thread, TRACER_INTERRUPTED, 0);
      } else if (signal == SIGTRAP) { /* a new thread, or a stopped one goes on */
        go_on(tid, 0);
      } else { /* it was stopped by a signal, and stays stopped */
        (void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
      }
      break;
    default:
      go_on(tid, 0);
      break;
  }
}

static void on_end(pid_t tid, const siginfo_t *info, const struct rusage *usage) {
  struct tracer *tracer = tracer_of(tid);
  if (tracer == NULL) {
    return;
  }
  forget_thread(tracer, tracer_find(tracer, tid));
  if (tracer->process->pid == tid) {
    process_was_reaped(tracer->process, info, usage);
  }
}

static void on_children(void) {
  for (int i = 0; i < EVENTS_AT_ONCE; i++) {
    siginfo_t info;
    struct rusage usage;
    memset(&info, 0, sizeof(info));
    /* __WCLONE leaves out the supervisor's own children, which have their pidfds, but not what it traces
     * (eligible_child() in the kernel's exit.c). */
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
  raise(SIGCHLD); /* the rest, after other events */
}

/* ---- requests ---- */

static bool seize(struct tracer *tracer, pid_t tid, bool until_exit) {
  const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | (until_exit ? PTRACE_O_TRACEEXIT : 0);
  if (tracer->count == TRACER_MAX_THREADS || ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) != 0) {
    return false;
  }
  tracer->threads[tracer->count++] = (struct traced_thread){.tid = tid};
  return true;
}

/* One that calls sandboxMeHere() may have threads already. */
static void seize_others(struct tracer *tracer, bool until_exit) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/task", (int)tracer->process->pid);
  DIR *directory = opendir(path);
  const struct dirent *entry;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (tid > 0 && tid != tracer->process->pid) {
      (void)seize(tracer, tid, until_exit); /* EPERM: it was made since, and is traced already */
    }
  }
  if (directory != NULL) {
    closedir(directory);
  }
}

bool tracer_begin(struct tracer *tracer, struct process *process, bool until_exit, bool may_have_threads) {
  if (!child_signal_listen(on_children)) {
    return false;
  }
  orphans_claim(&traced_threads);
  tracer->count = 0;
  tracer->stops = 0;
  tracer->letting_go = tracer->interrupting = false;
  if (!seize(tracer, process->pid, until_exit)) {
    return false;
  }
  tracer->process = process;
  tracer->previous = NULL;
  tracer->next = all;
  if (all != NULL) {
    all->previous = tracer;
  }
  all = tracer;
  if (may_have_threads) {
    seize_others(tracer, until_exit);
  }
  return true;
}

void tracer_end(struct tracer *tracer) {
  if (tracer->process == NULL) {
    return;
  }
  tracer->process = NULL;
  tracer->count = 0;
  if (tracer->previous != NULL) {
    tracer->previous->next = tracer->next;
  } else {
    all = tracer->next;
  }
  if (tracer->next != NULL) {
    tracer->next->previous = tracer->previous;
  }
}

void tracer_interrupt(struct tracer *tracer, struct traced_thread *thread) {
  tracer->interrupting = true;
  (void)ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL); /* ESRCH: it has been killed */
}

void tracer_resume(struct tracer *tracer) {
  tracer->interrupting = false;
  for (size_t i = 0; i < tracer->count; i++) {
    if (tracer->threads[i].stopped) {
      tracer->threads[i].stopped = false;
      go_on(tracer->threads[i].tid, tracer->threads[i].signal);
    }
  }
}
