/* What a fork server looks at before it forks, and what a child lets go of: memory that is shared, rings,
 * open files. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"
#include "inherited_fds.h"
#include "ring.h"
#include "shared_memory.h"

/* From linux/userfaultfd.h since Linux 5.11: what an ordinary user may have. */
enum { USER_MODE_ONLY = 1 };

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

/* ---- Shared memory ---- */

/* What the kernel says of a mapping in smaps: whether it is shared, and whether it may be made writable. */
static void look_up(const void *mapping, bool *is_shared, bool *may_write) {
  char line[512], flags[512] = "", sharing = '-';
  FILE *smaps = fopen("/proc/self/smaps", "re");
  REQUIRE(smaps != NULL);
  bool is_found = false;
  while (flags[0] == '\0' && fgets(line, sizeof line, smaps) != NULL) {
    unsigned long start;
    char found_sharing;
    if (sscanf(line, "%lx-%*x %*c%*c%*c%c", &start, &found_sharing) == 2) {
      is_found = start == (uintptr_t)mapping;
      sharing = found_sharing;
    } else if (is_found) {
      (void)sscanf(line, "VmFlags: %511[^\n]", flags);
    }
  }
  (void)fclose(smaps);
  REQUIRE(flags[0] != '\0');
  *is_shared = sharing == 's';
  *may_write = strstr(flags, "mw ") != NULL;
}

static int find(bool memory_is_fine) {
  char name[100];
  return sandwire_find_shared_memory(memory_is_fine, name, sizeof name);
}

/* Looks with this mapping and without it, and unmaps it. */
static void check_mapping(const char *what, void *mapping, enum sandwire_shared_kind expected) {
  bool is_shared, may_write;
  REQUIRE(mapping != MAP_FAILED);
  look_up(mapping, &is_shared, &may_write);
  const int found = find(false), found_beside_memory = find(true);
  const int beside_memory = expected == SANDWIRE_SHARED_MEMORY ? SANDWIRE_SHARED_NOTHING : (int)expected;
  if (found != (int)expected || found_beside_memory != beside_memory ||
      (is_shared && may_write) != (expected != SANDWIRE_SHARED_NOTHING)) {
    fprintf(stderr, "%s: found %d and %d; the kernel says %d %d\n", what, found, found_beside_memory,
            is_shared, may_write);
  }
  CHECK_EQUAL(expected, found);
  CHECK_EQUAL(beside_memory, found_beside_memory);
  /* Not only as this test expects it, but as the kernel does. */
  CHECK_EQUAL(is_shared && may_write, expected != SANDWIRE_SHARED_NOTHING);
  REQUIRE(munmap(mapping, 4096) == 0);
  CHECK_EQUAL(SANDWIRE_SHARED_NOTHING, find(false));
}

static int reopen(int fd, int flags) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return open(path, flags | O_CLOEXEC);
}

static void *map(int protection, int flags, int fd) {
  return mmap(NULL, 4096, protection, flags, fd, 0);
}

static void test_memory_files(void) {
  const int fd = memfd_create("a name with spaces", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(fd >= 0 && ftruncate(fd, 8192) == 0);
  const int read_only = reopen(fd, O_RDONLY);
  REQUIRE(read_only >= 0);
  const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_EXEC};
  for (size_t i = 0; i < sizeof protections / sizeof protections[0]; i++) {
    check_mapping("open for writing", map(protections[i], MAP_SHARED, fd), SANDWIRE_SHARED_MEMORY);
    check_mapping("open for reading", map(protections[i], MAP_SHARED, read_only), SANDWIRE_SHARED_NOTHING);
    check_mapping("private", map(protections[i] | PROT_WRITE, MAP_PRIVATE, fd), SANDWIRE_SHARED_NOTHING);
  }
  check_mapping("writable", map(PROT_READ | PROT_WRITE, MAP_SHARED, fd), SANDWIRE_SHARED_MEMORY);
  void *read_once = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  REQUIRE(read_once != MAP_FAILED && mprotect(read_once, 4096, PROT_READ) == 0);
  check_mapping("once writable", read_once, SANDWIRE_SHARED_MEMORY);
  /* A seal keeps later mappings from it, and no mapping that is there. */
  REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
  check_mapping("sealed", map(PROT_READ, MAP_SHARED, fd), SANDWIRE_SHARED_NOTHING);
  REQUIRE(close(fd) == 0 && close(read_only) == 0);
}

static void test_other_memory(void) {
  char path[] = "/tmp/sandwire-forking-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0 && ftruncate(fd, 4096) == 0);
  check_mapping("a file", map(PROT_READ, MAP_SHARED, fd), SANDWIRE_SHARED_MEMORY);
  REQUIRE(unlink(path) == 0);
  check_mapping("a file without a name", map(PROT_READ, MAP_SHARED, fd), SANDWIRE_SHARED_MEMORY);
  REQUIRE(close(fd) == 0);
  check_mapping("anonymous", map(PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1), SANDWIRE_SHARED_MEMORY);
  const int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
  REQUIRE(zero >= 0);
  check_mapping("/dev/zero", map(PROT_READ, MAP_SHARED, zero), SANDWIRE_SHARED_MEMORY);
  REQUIRE(close(zero) == 0);
  const int shm = shmget(IPC_PRIVATE, 4096, 0600);
  if (shm < 0) {
    printf("SKIP System V memory: errno %d\n", errno);
    return;
  }
  check_mapping("System V", shmat(shm, NULL, 0), SANDWIRE_SHARED_MEMORY);
  check_mapping("System V, for reading", shmat(shm, NULL, SHM_RDONLY), SANDWIRE_SHARED_NOTHING);
  REQUIRE(shmctl(shm, IPC_RMID, NULL) == 0);
}

/* By the kernel, which answers EFAULT where a program would be killed. */
static void check_access(void *page, bool may_read, bool may_write) {
  int ends[2];
  char byte = 'x';
  REQUIRE(pipe(ends) == 0);
  CHECK_EQUAL(may_read ? 1 : -1, write(ends[1], page, 1));
  CHECK(!may_read || read(ends[0], &byte, 1) == 1);
  REQUIRE(write(ends[1], &byte, 1) == 1);
  CHECK_EQUAL(may_write ? 1 : -1, read(ends[0], page, 1));
  REQUIRE(close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* To look at it leaves a mapping as it is, and no other behind. */
static void test_looking(void) {
  char name[100] = "", narrow[6] = "";
  void *shared = map(PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1);
  REQUIRE(shared != MAP_FAILED);
  CHECK_EQUAL(SANDWIRE_SHARED_MEMORY, sandwire_find_shared_memory(false, name, sizeof name));
  CHECK(strcmp(name, "/dev/zero (deleted)") == 0);
  check_access(shared, false, false);
  REQUIRE(mprotect(shared, 4096, PROT_READ) == 0);
  CHECK_EQUAL(SANDWIRE_SHARED_MEMORY, sandwire_find_shared_memory(false, narrow, sizeof narrow));
  CHECK(strcmp(narrow, "/dev/") == 0);
  check_access(shared, true, false);
  REQUIRE(mprotect(shared, 4096, PROT_READ | PROT_WRITE) == 0);
  CHECK_EQUAL(SANDWIRE_SHARED_MEMORY, find(false));
  check_access(shared, true, true);
  REQUIRE(munmap(shared, 4096) == 0);
  CHECK_EQUAL(SANDWIRE_SHARED_NOTHING, find(false));
}

/* ---- What acts ---- */

static void use_aio(void *context) {
  CHECK_EQUAL(SANDWIRE_SHARED_DEVICE, find(false));
  CHECK(syscall(SYS_io_getevents, *(aio_context_t *)context, 0, 0, NULL, NULL) == -1 && errno == EINVAL);
}

static void test_aio(void) {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 4, &context) != 0) {
    printf("SKIP a ring of AIO: errno %d\n", errno);
    return;
  }
  CHECK_EQUAL(SANDWIRE_SHARED_DEVICE, find(false));
  CHECK_EQUAL(SANDWIRE_SHARED_DEVICE, find(true));
  /* The memory comes along with a fork, the context does not. */
  CHECK_EQUAL(0, in_child(use_aio, &context));
  /* One that acts is named before memory. */
  char name[100] = "";
  void *shared = map(PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1);
  REQUIRE(shared != MAP_FAILED);
  CHECK_EQUAL(SANDWIRE_SHARED_DEVICE, sandwire_find_shared_memory(false, name, sizeof name));
  CHECK(strncmp(name, "/[aio]", 6) == 0);
  REQUIRE(munmap(shared, 4096) == 0 && syscall(SYS_io_destroy, context) == 0);
  CHECK_EQUAL(SANDWIRE_SHARED_NOTHING, find(false));
}

static void test_ring_mapping(int ring) {
  for (int protection = PROT_READ; protection <= (PROT_READ | PROT_WRITE); protection += PROT_WRITE) {
    void *rings = mmap(NULL, 4096, protection, MAP_SHARED, ring, RING_OFFSET_RINGS);
    char name[100] = "";
    REQUIRE(rings != MAP_FAILED);
    CHECK_EQUAL(SANDWIRE_SHARED_DEVICE, sandwire_find_shared_memory(true, name, sizeof name));
    CHECK(strcmp(name, "anon_inode:[io_uring]") == 0);
    REQUIRE(munmap(rings, 4096) == 0);
  }
}

static void test_ring_in_own_memory(void) {
  void *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  CHECK(!sandwire_has_registered_ring());
  if (ring_make_in(memory) < 0) {
    printf("SKIP a ring without an fd: errno %d\n", errno);
  } else {
    CHECK_EQUAL(SANDWIRE_SHARED_NOTHING, find(true)); /* its memory is not to be told from other memory */
    CHECK(sandwire_has_registered_ring());
  }
  REQUIRE(munmap(memory, 8192) == 0);
}

/* ---- Open files ---- */

static struct sandwire_inherited_fds inherited;
static char detail[100];

static bool keep_one(int fd, void *kept) {
  return fd == *(int *)kept;
}

static int list(int kept) {
  return sandwire_inherited_fds_list(&inherited, keep_one, &kept, detail, sizeof detail);
}

static void test_refused_fd(const char *what, int fd, int kept, int expected) {
  if (fd < 0) {
    printf("SKIP %s: errno %d\n", what, errno);
    return;
  }
  char number[16];
  (void)snprintf(number, sizeof number, "fd %d", fd);
  CHECK_EQUAL(expected, list(kept));
  CHECK(strncmp(detail, number, strlen(number)) == 0);
  CHECK_EQUAL(0, inherited.count);
  CHECK(expected != EBUSY || strstr(detail, what) != NULL);
  REQUIRE(close(fd) == 0);
}

static void test_refused_fds(void) {
  struct ring_parameters parameters = {.flags = 0};
  int ring = ring_make(&parameters);
  if (ring >= 0) {
    test_ring_mapping(ring);
  }
  test_refused_fd("io_uring", ring, -1, EBUSY);
  struct ring_parameters again = {.flags = 0};
  ring = ring_make(&again);
  test_refused_fd("io_uring", ring, ring, EBUSY); /* nor shared on purpose */
  test_refused_fd("userfaultfd", (int)syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY), -1, EBUSY);
  const int directory = open("/", O_RDONLY | O_CLOEXEC);
  test_refused_fd("a directory", directory, directory, EISDIR);
}

static struct { int file, replaced, event, loop, pipe[2], kept; } fds;

static void let_go(void *unused) {
  (void)unused;
  char byte;
  /* As libuv does: one is closed and another file opened under its number. */
  REQUIRE(close(fds.replaced) == 0 && open("/dev/zero", O_RDONLY) == fds.replaced);
  CHECK_EQUAL(0, sandwire_inherited_fds_replace(&inherited));
  CHECK(fcntl(inherited.null_fd, F_GETFD) == -1 && fcntl(inherited.closed_fd, F_GETFD) == -1);
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
  /* A mark for the next child, of the kinds that an open file keeps. */
  CHECK_EQUAL(0, fcntl(fds.event, F_SETFL, O_NONBLOCK));
  CHECK_EQUAL(0, fcntl(fds.event, F_SETSIG, SIGUSR1));
  CHECK(fcntl(fds.file, F_SETSIG, SIGUSR1) == -1 && errno == EBADF);
}

static void look_for_marks(void *unused) {
  (void)unused;
  CHECK_EQUAL(0, sandwire_inherited_fds_replace(&inherited));
  CHECK_EQUAL(0, fcntl(fds.event, F_GETFL) & O_NONBLOCK);
  CHECK_EQUAL(0, fcntl(fds.event, F_GETSIG));
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
  CHECK_EQUAL(0, list(fds.kept));
  CHECK(inherited.count >= 6 && inherited.null_fd > 1023 && inherited.closed_fd > 1023);
  for (size_t i = 0; i < inherited.count; i++) {
    const int fd = inherited.fds[i].fd;
    CHECK(fd > 2 && fd != fds.kept && fd != inherited.null_fd && fd != inherited.closed_fd);
  }
  CHECK_EQUAL(0, in_child(let_go, NULL));
  sandwire_inherited_fds_close(&inherited);
  CHECK_EQUAL(0, inherited.count);
  sandwire_inherited_fds_close(&inherited); /* safe twice */
  uint64_t woken;
  char byte;
  CHECK(read(fds.event, &woken, sizeof woken) == -1 &&
        errno == EAGAIN); /* the child's wake-up was not ours */
  CHECK(read(fds.pipe[0], &byte, 1) == -1 && errno == EAGAIN);
  CHECK_EQUAL(1, read(fds.file, &byte, 1));
  CHECK_EQUAL(0, list(fds.kept));
  CHECK_EQUAL(0, in_child(look_for_marks, NULL));
  sandwire_inherited_fds_close(&inherited);
}

static void replace_many(void *highest) {
  char byte;
  CHECK_EQUAL(0, sandwire_inherited_fds_replace(&inherited));
  CHECK(read(*(int *)highest, &byte, 1) == 0); /* a pipe's, and now /dev/null */
}

/* The soft limit is set to what is wanted. False: there is no such limit to be had. */
static bool limit_fds(rlim_t wanted) {
  struct rlimit limit;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = wanted;
  limit.rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void test_many_descriptors(void) {
  enum { MANY = 5000 };
  if (!limit_fds(MANY + 100)) {
    printf("SKIP many descriptors: ulimit -n cannot be raised\n");
    return;
  }
  int highest = fds.kept;
  for (int i = 0; i < MANY; i++) {
    highest = fcntl(fds.kept, F_DUPFD, 3);
    REQUIRE(highest > 2);
  }
  CHECK_EQUAL(0, list(-1));
  CHECK(inherited.count >= MANY);
  CHECK_EQUAL(0, in_child(replace_many, &highest));
  sandwire_inherited_fds_close(&inherited);
  /* No number is left above those that a host can map to. */
  REQUIRE(limit_fds(1024));
  for (int fd = 900; fd <= highest; fd++) {
    (void)close(fd);
  }
  CHECK_EQUAL(EMFILE, list(-1));
  CHECK(strcmp(detail, "/dev/null") == 0 && inherited.count == 0);
  for (int fd = fds.kept + 1; fd < 900; fd++) {
    (void)close(fd);
  }
  sandwire_inherited_fds_destroy(&inherited);
  sandwire_inherited_fds_destroy(&inherited); /* safe twice */
}

int main(void) {
  test_memory_files();
  test_other_memory();
  test_looking();
  test_aio();
  test_ring_in_own_memory();
  test_refused_fds();
  if (limit_fds(2048)) {
    test_descriptors();
    test_many_descriptors();
  } else {
    printf("SKIP descriptors: ulimit -n cannot be raised above 1024\n");
  }
  return report_checks();
}
