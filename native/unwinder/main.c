/* Unwinds the stacks of a sandboxee that is about to end. The supervisor starts it for one stack trace, with
 * its own privileges and a request (request.h) on standard input.
 *
 * First it stops the threads, if the supervisor has not, copies the memory map and opens what it will read.
 * Then it enters a jail (jail.h), and only there it reads memory and files, which a hostile sandboxee may
 * have prepared. Its output is text for the host; the worst that can happen to it is to be killed, or to be
 * wrong. Single-threaded. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "answer.h"
#include "budget.h"
#include "jail.h"
#include "registers.h"
#include "request.h"
#include "stop.h"
#include "symbols.h"
#include "target.h"
#include "walk.h"

enum { BUDGET_MS = 600 };

static struct unwind_request request;
static struct frame frames[UNWIND_MAX_THREADS][MAX_FRAMES];
static struct frame *all_frames[UNWIND_MAX_THREADS * MAX_FRAMES];

/* May wait for a long time. False: there is nothing to do. */
static bool read_request(void) {
  struct iovec part = {&request, sizeof(request)};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
  ssize_t size;
  do {
    size = recvmsg(STDIN_FILENO, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  const size_t head = offsetof(struct unwind_request, threads);
  if (size < (ssize_t)head || request.thread_count < 0 || request.thread_count > UNWIND_MAX_THREADS ||
      (size_t)size != head + (size_t)request.thread_count * sizeof(request.threads[0])) {
    return false;
  }
  if (!request.has_listener) {
    return true;
  }
  const struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  int listener;
  if (rights == NULL || rights->cmsg_len != CMSG_LEN(sizeof(listener))) {
    return false;
  }
  memcpy(&listener, CMSG_DATA(rights), sizeof(listener));
  return listener == UNWIND_LISTENER_FD || dup2(listener, UNWIND_LISTENER_FD) == UNWIND_LISTENER_FD;
}

static int ascending(const void *a, const void *b) {
  return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static bool enter_jail(void) {
  static int fds[MAX_OPEN_FILES + 2];
  fds[0] = STDOUT_FILENO;
  size_t count = 1 + target_fds(fds + 1, MAX_OPEN_FILES + 1);
  qsort(fds, count, sizeof(fds[0]), ascending);
  return jail_enter(fds, count);
}

/* A stopped thread. The main thread may have ended before the others; then its files in /proc have no memory
 * behind them. */
static pid_t stopped_thread(void) {
  int i = 0;
  while (i < request.thread_count - 1 && request.threads[i].registers_size == 0) {
    i++;
  }
  return request.threads[i].tid;
}

static void unwind(void) {
  size_t counts[UNWIND_MAX_THREADS] = {0}, total = 0, unnamed = 0;
  enum walk_end ends[UNWIND_MAX_THREADS];
  int unstopped = 0, other_kind = 0;
  for (int i = 0; i < request.thread_count; i++) {
    const struct unwind_thread *thread = &request.threads[i];
    if (thread->registers_size != (int32_t)sizeof(thread->registers)) {
      unstopped += thread->registers_size == 0;
      other_kind += thread->registers_size != 0;
      continue;
    }
    struct registers registers;
    registers_load(&registers, &thread->registers);
    ends[i] = walk(registers, frames[i], &counts[i]);
    for (size_t f = 0; f < counts[i]; f++) {
      all_frames[total++] = &frames[i][f];
    }
  }
  symbols_name(all_frames, total);
  for (size_t i = 0; i < total; i++) {
    unnamed += all_frames[i]->symbol_rank == 0;
  }
  if (other_kind > 0) {
    answer_note("a 32-bit program has no stack trace");
  } else if (unstopped > 0) {
    answer_note("a thread could not be stopped");
  } else if (target_map_is_cut) {
    answer_note("the program has more mappings than were read");
  } else if (budget_is_used_up()) {
    answer_note("time was up before everything was read");
  } else if (unnamed > 0) {
    answer_note(
        "some frames have no symbol: the program or a library is stripped, or its file could not be read");
  }
  for (int i = 0; i < request.thread_count; i++) {
    if (counts[i] > 0 && !answer_add(request.threads[i].tid, frames[i], counts[i], ends[i])) {
      answer_note("there are more threads than fit");
      break;
    }
  }
}

int main(void) {
  /* Its usual name, from its file, is used only while it works. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || prctl(PR_SET_NAME, "unwinder-ready", 0, 0, 0) != 0 ||
      !read_request() || prctl(PR_SET_NAME, "sandwire-unwinder", 0, 0, 0) != 0) {
    return 1;
  }
  budget_begin(BUDGET_MS);
  if (request.thread_count == 0) {
    stop_threads(&request);
  }
  answer_begin();
  if (request.thread_count == 0) {
    answer_note("the thread could not be stopped: ptrace is not allowed here, or another process traces it");
  } else if (!target_open(stopped_thread())) {
    answer_note("the memory of the process could not be opened");
  } else if (!enter_jail()) {
    return 2;
  } else {
    unwind();
  }
  return answer_send() ? 0 : 3;
}
