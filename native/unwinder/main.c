/* Unwinds the stacks of a sandboxee that is about to end. Started by the supervisor for one stack trace, with its
 * privileges and a request (request.h) on standard input.
 *
 * First it stops the threads, where the supervisor has not, copies the memory map and opens what it will read. Then it
 * enters a jail (jail.h), and only there it looks at memory and files, which a hostile sandboxee has made for it. What
 * it says is text for the host; being killed, or wrong, is the worst it can come to. Single-threaded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
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

static bool read_request(void) {
  size_t done = 0;
  while (done < sizeof(request)) {
    ssize_t count = read(STDIN_FILENO, (char *)&request + done, sizeof(request) - done);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    done += (size_t)count;
  }
  return request.thread_count >= 0 && request.thread_count <= UNWIND_MAX_THREADS;
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
    answer_note("the program has more mappings than were looked at");
  } else if (budget_is_used_up()) {
    answer_note("time was up before all of it was read");
  } else if (unnamed > 0) {
    answer_note("some frames have no symbol: the program or a library is stripped, or its file was not to be read");
  }
  for (int i = 0; i < request.thread_count; i++) {
    if (counts[i] > 0 && !answer_add(request.threads[i].tid, frames[i], counts[i], ends[i])) {
      answer_note("there are more threads than fit");
      break;
    }
  }
}

int main(void) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || !read_request()) {
    return 1;
  }
  budget_begin(BUDGET_MS);
  if (request.thread_count == 0) {
    stop_threads(&request);
  }
  answer_begin();
  if (request.thread_count == 0) {
    answer_note("the thread could not be stopped: ptrace is not allowed here, or somebody traces it");
  } else if (!target_open(request.pid)) {
    answer_note("the memory of the process could not be opened");
  } else if (!enter_jail()) {
    return 2;
  } else {
    unwind();
  }
  return answer_send() ? 0 : 3;
}
