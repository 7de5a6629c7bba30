/* What the addon does in C for a fork server in Node, without Node: memory that a fork leaves out,
 * descriptors a child must let go of, threads that have to sleep. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "forkable_memory.h"
#include "inherited_fds.h"
#include "other_threads.h"
#include "shared_memory.h"

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

static void touch_page(void *page) {
  (void)*(volatile char *)page;
}

static void write_page(void *page) {
  *(volatile char *)page = 1;
}

/* Whether a child is killed by what the protection forbids. */
static bool access_faults(void *page, bool may_read) {
  const int written = in_child(write_page, page);
  const int read = in_child(touch_page, page);
  return WIFSIGNALED(written) && WTERMSIG(written) == SIGSEGV &&
         (may_read ? read == 0 : WIFSIGNALED(read) && WTERMSIG(read) == SIGSEGV);
}

static void test_shared_memory(void) {
  char name[100] = "";
  CHECK_EQUAL(0, sandwire_find_shared_memory(name, sizeof name));
  const int fd = memfd_create("a name with spaces", MFD_CLOEXEC);
  REQUIRE(fd >= 0 && ftruncate(fd, 8192) == 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int read_only = open(path, O_RDONLY | O_CLOEXEC);
  REQUIRE(read_only >= 0);
  void *shown = mmap(NULL, 4096, PROT_READ, MAP_SHARED, read_only, 0);
  void *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  REQUIRE(shown != MAP_FAILED && private != MAP_FAILED);
  CHECK_EQUAL(0, sandwire_find_shared_memory(name, sizeof name));
  void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
  REQUIRE(shared != MAP_FAILED);
  CHECK_EQUAL(1, sandwire_find_shared_memory(name, sizeof name));
  /* What is only read, of a file that is open for writing, can be made writable; to find that out leaves it
   * as it is. */
  for (int protection = PROT_NONE; protection <= PROT_READ; protection += PROT_READ - PROT_NONE) {
    REQUIRE(mprotect(shared, 4096, protection) == 0);
    name[0] = '\0';
    CHECK_EQUAL(1, sandwire_find_shared_memory(name, sizeof name));
    CHECK(strcmp(name, "/memfd:a name with spaces (deleted)") == 0);
    CHECK(access_faults(shared, protection == PROT_READ));
  }
  CHECK(strcmp(name, "/memfd:a name with spaces (deleted)") == 0);
  REQUIRE(munmap(shared, 4096) == 0);
  shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  char narrow[6] = "";
  CHECK_EQUAL(1, sandwire_find_shared_memory(narrow, sizeof narrow));
  CHECK(strcmp(narrow, "/dev/") == 0);
  REQUIRE(munmap(shared, 4096) == 0 && munmap(shown, 4096) == 0 && munmap(private, 4096) == 0 &&
          close(fd) == 0 && close(read_only) == 0);
}

/* ---- Descriptors ---- */

static struct {
  struct inherited_fds inherited;
  int file, replaced, event, loop, pipe[2], kept;
} fds;

static void let_go(void *unused) {
  (void)unused;
  char byte;
  /* As libuv does: one is closed and another file opened under its number. */
  REQUIRE(close(fds.replaced) == 0 && open("/dev/zero", O_RDONLY) == fds.replaced);
  CHECK_EQUAL(0, inherited_fds_let_go(&fds.inherited));
  CHECK(read(fds.file, &byte, 1) == -1 && errno == EBADF);
  CHECK_EQUAL(1, read(fds.replaced, &byte, 1));
  CHECK(read(fds.kept, &byte, 1) == 1 && byte == 'k');
  const uint64_t one = 1;
  CHECK_EQUAL(sizeof one, write(fds.event, &one, sizeof one)); /* goes nowhere */
  CHECK_EQUAL(1, write(fds.pipe[1], "x", 1));
  CHECK_EQUAL(0, read(fds.pipe[0], &byte, 1));
  struct epoll_event event;
  CHECK(epoll_wait(fds.loop, &event, 1, 0) == -1 && errno == EINVAL);
  CHECK(fcntl(fds.file, F_GETFD) == FD_CLOEXEC && fcntl(fds.loop, F_GETFD) == FD_CLOEXEC);
  CHECK(fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0 && fcntl(2, F_GETFD) == 0);
}

static void test_descriptors(void) {
  int kept[2];
  fds.file = open("/proc/self/stat", O_RDONLY);
  fds.replaced = open("/dev/null", O_RDONLY);
  fds.event = eventfd(0, EFD_NONBLOCK);
  fds.loop = epoll_create1(0);
  REQUIRE(fds.file > 2 && fds.replaced > 2 && fds.event > 2 && fds.loop > 2);
  REQUIRE(pipe(fds.pipe) == 0 && pipe(kept) == 0 && write(kept[1], "k", 1) == 1 && close(kept[1]) == 0);
  fds.kept = kept[0];
  REQUIRE(fcntl(fds.pipe[0], F_SETFL, O_NONBLOCK) == 0);
  REQUIRE(inherited_fds_open(&fds.inherited) == 0);
  CHECK_EQUAL(0, inherited_fds_list(&fds.inherited, fds.kept));
  CHECK(fds.inherited.count >= 6);
  for (size_t i = 0; i < fds.inherited.count; i++) {
    const int fd = fds.inherited.fds[i].fd;
    CHECK(fd > 2 && fd != fds.kept && fd != fds.inherited.null_fd && fd != fds.inherited.closed_fd);
  }
  CHECK_EQUAL(0, in_child(let_go, NULL));
  uint64_t woken;
  char byte;
  CHECK(read(fds.event, &woken, sizeof woken) == -1 &&
        errno == EAGAIN); /* the child's wake-up was not ours */
  CHECK(read(fds.pipe[0], &byte, 1) == -1 && errno == EAGAIN);
  CHECK_EQUAL(1, read(fds.file, &byte, 1));
  inherited_fds_close(&fds.inherited);
  CHECK_EQUAL(-1, fds.inherited.null_fd);
  inherited_fds_close(&fds.inherited); /* safe twice */
}

static void test_too_many_descriptors(void) {
  const struct rlimit limit = {INHERITED_FDS_MAX + 100, INHERITED_FDS_MAX + 100};
  struct rlimit usual;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  if (usual.rlim_max < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    printf("SKIP too many descriptors: ulimit -n cannot be raised\n");
    return;
  }
  usual.rlim_cur = limit.rlim_cur;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &usual) == 0);
  REQUIRE(inherited_fds_open(&fds.inherited) == 0);
  int highest = fds.kept;
  for (int i = 0; i < INHERITED_FDS_MAX; i++) {
    highest = fcntl(fds.kept, F_DUPFD, 3);
    REQUIRE(highest > 2);
  }
  CHECK_EQUAL(EMFILE, inherited_fds_list(&fds.inherited, -1));
  for (int fd = fds.inherited.closed_fd + 1; fd <= highest; fd++) {
    (void)close(fd);
  }
  inherited_fds_close(&fds.inherited);
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
  test_shared_memory();
  test_descriptors();
  test_too_many_descriptors();
  test_threads();
  return report_checks();
}
