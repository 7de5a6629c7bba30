#include "stop.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

enum { PATIENCE_MS = 100 };

static void seize(struct unwind_request *request, pid_t tid) {
  /* EXITKILL, because the stopped threads are about to be killed: they must not run on when this process has
   * ended. */
  if (request->thread_count < UNWIND_MAX_THREADS &&
      ptrace(PTRACE_SEIZE, tid, NULL, (void *)(long)PTRACE_O_EXITKILL) == 0 &&
      ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0) {
    request->threads[request->thread_count++] = (struct unwind_thread){.tid = tid};
  }
}

static void seize_others(struct unwind_request *request) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/task", request->pid);
  DIR *directory = opendir(path);
  const struct dirent *entry;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (tid > 0 && tid != request->tid) {
      seize(request, tid);
    }
  }
  if (directory != NULL) {
    closedir(directory);
  }
}

/* The thread that violated waits only for its answer (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV). With the
 * answer it stops on its way back into the program, and does not get there. */
static void answer(const struct unwind_request *request) {
  struct seccomp_notif_resp response;
  memset(&response, 0, sizeof(response));
  response.id = request->notification;
  response.error = -ENOSYS;
  (void)ioctl(UNWIND_LISTENER_FD, SECCOMP_IOCTL_NOTIF_SEND, &response); /* ENOENT: it no longer waits */
}

static bool has_stopped(pid_t tid) {
  siginfo_t info;
  memset(&info, 0, sizeof(info));
  return waitid(P_PID, (id_t)tid, &info, WSTOPPED | WEXITED | WNOHANG | __WALL) != 0 || info.si_pid != 0;
}

static void read_registers(struct unwind_thread *thread) {
  struct iovec part = {&thread->registers, sizeof(thread->registers)};
  if (ptrace(PTRACE_GETREGSET, thread->tid, (void *)(long)NT_PRSTATUS, &part) == 0) {
    thread->registers_size = (int32_t)part.iov_len;
  }
}

void stop_threads(struct unwind_request *request) {
  seize(request, request->tid);
  if (request->has_listener && request->thread_count > 0) {
    answer(request);
  }
  if (request->all_threads) {
    seize_others(request);
  }
  int waiting = request->thread_count;
  bool done[UNWIND_MAX_THREADS] = {false};
  const struct timespec tick = {.tv_nsec = 100000};
  for (int tenths = 0; waiting > 0 && tenths < PATIENCE_MS * 10; tenths++) {
    for (int i = 0; i < request->thread_count; i++) {
      if (!done[i] && has_stopped(request->threads[i].tid)) {
        done[i] = true;
        waiting--;
        read_registers(&request->threads[i]);
      }
    }
    if (waiting > 0) {
      nanosleep(&tick, NULL);
    }
  }
}
