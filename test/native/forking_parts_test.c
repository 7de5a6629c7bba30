/* What the addon does in C for a fork server in Node, without Node: memory that a fork leaves out, threads
 * that have to sleep. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "forkable_memory.h"
#include "other_threads.h"

/* The status of a child that does this. */
static int in_child(void (*act)(void *), void *with) {
  fflush(NULL);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    act(with);
    _exit(checks_failed > 0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

/* ---- Memory ---- */

static char *map_without_fork(void *at) {
  char *page = mmap(at, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  *page = 42;
  REQUIRE(madvise(page, 4096, MADV_DONTFORK) == 0);
  return page;
}

static void read_page(void *page) {
  CHECK_EQUAL(42, *(volatile char *)page);
}

static void test_memory(void) {
  char *page = map_without_fork(NULL);
  const int without = in_child(read_page, page);
  CHECK(WIFSIGNALED(without) && WTERMSIG(without) == SIGSEGV);
  struct forkable_memory memory = {.count = 0};
  CHECK_EQUAL(0, forkable_memory_apply(&memory));
  CHECK(memory.count > 0 && memory.count <= FORKABLE_MEMORY_STRETCHES);
  CHECK_EQUAL(0, in_child(read_page, page));
  /* What comes later, far away and in the place of another. */
  char *far = map_without_fork((void *)0x100000000000);
  REQUIRE(munmap(page, 4096) == 0);
  char *again = map_without_fork(page);
  const size_t learned = memory.count;
  CHECK_EQUAL(0, forkable_memory_apply(&memory));
  CHECK_EQUAL(learned, memory.count);
  CHECK_EQUAL(0, in_child(read_page, far));
  CHECK_EQUAL(0, in_child(read_page, again));
  /* A stretch that cannot be advised any more is learned anew. */
  memory.stretches[0].to = UINTPTR_MAX - 4095;
  CHECK_EQUAL(0, forkable_memory_apply(&memory));
  CHECK_EQUAL(learned, memory.count);
  REQUIRE(munmap(far, 4096) == 0 && munmap(again, 4096) == 0);
}

/* ---- Threads ---- */

static atomic_bool may_end, may_sleep;

static void *be_busy(void *unused) {
  (void)prctl(PR_SET_NAME, ") S (a name"); /* what stands in it is no state */
  while (!may_sleep) {
  }
  while (!may_end) {
    const struct timespec tick = {.tv_nsec = 1000000};
    nanosleep(&tick, NULL);
  }
  return unused;
}

static void *be_short(void *unused) {
  const struct timespec moment = {.tv_nsec = 100000000};
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < moment.tv_nsec);
  return unused;
}

static void test_threads(void) {
  pthread_t thread, brief;
  CHECK_EQUAL(0, other_threads_await_sleep(0)); /* there is none */
  REQUIRE(pthread_create(&thread, NULL, be_busy, NULL) == 0);
  CHECK_EQUAL(EBUSY, other_threads_await_sleep(50));
  may_sleep = true;
  CHECK_EQUAL(0, other_threads_await_sleep(60000));
  REQUIRE(pthread_create(&brief, NULL, be_short, NULL) == 0);
  CHECK_EQUAL(0, other_threads_await_sleep(60000)); /* it ends meanwhile */
  may_end = true;
  REQUIRE(pthread_join(thread, NULL) == 0 && pthread_join(brief, NULL) == 0);
}

int main(void) {
  test_memory();
  test_threads();
  return report_checks();
}
