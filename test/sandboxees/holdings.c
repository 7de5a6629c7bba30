#include "holdings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring.h"

static void require(bool has_it) {
  if (!has_it) {
    _exit(100 + errno);
  }
}

static void *share_pages(size_t size) {
  void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(pages != MAP_FAILED);
  return pages;
}

static void take_shared(void) {
  (void)share_pages(4096);
}

static int make_memory_file(void) {
  const int fd = memfd_create("mapped", MFD_CLOEXEC);
  require(fd >= 0 && ftruncate(fd, 4096) == 0);
  return fd;
}

static void map_for_reading(int fd) {
  require(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED && close(fd) == 0);
}

static void take_writable(void) {
  map_for_reading(make_memory_file());
}

static void take_readonly(void) {
  const int fd = make_memory_file();
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int read_only = open(path, O_RDONLY | O_CLOEXEC);
  require(read_only >= 0 && close(fd) == 0);
  map_for_reading(read_only);
}

static int make_ring(void) {
  struct ring_parameters parameters = {.flags = 0};
  const int ring = ring_make(&parameters);
  require(ring >= 0);
  return ring;
}

static void take_ring(void) {
  const int ring = make_ring();
  void *pages = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, RING_OFFSET_RINGS);
  require(pages != MAP_FAILED && close(ring) == 0);
}

static void take_ring_fd(void) {
  (void)make_ring();
}

static void take_ring_alone(void) {
  require(ring_make_in(share_pages(8192)) >= 0);
}

static void take_aio(void) {
  static aio_context_t context;
  require(syscall(SYS_io_setup, 4, &context) == 0);
}

static void take_userfaultfd(void) {
  enum { USER_MODE_ONLY = 1 }; /* what an ordinary user may have, linux/userfaultfd.h since Linux 5.11 */
  require(syscall(SYS_userfaultfd, O_CLOEXEC | USER_MODE_ONLY) >= 0);
}

static void take_merging(void) {
  enum { SET_MEMORY_MERGE = 67 }; /* linux/prctl.h since Linux 6.4 */
  require(prctl(SET_MEMORY_MERGE, 1, 0, 0, 0) == 0);
}

static void move_to_shared_fd(int fd) {
  require(fd >= 0 && dup2(fd, SHARED_FD) >= 0 && (fd == SHARED_FD || close(fd) == 0));
}

static void take_null(void) {
  move_to_shared_fd(open("/dev/null", O_RDWR));
}

static void take_eventfd(void) {
  move_to_shared_fd(eventfd(0, 0));
}

static void take_file(void) {
  const int fd = make_memory_file();
  require(ftruncate(fd, 0) == 0 && write(fd, "abc", 3) == 3 && lseek(fd, 0, SEEK_SET) == 0);
  move_to_shared_fd(fd);
}

static void take_directory(void) {
  move_to_shared_fd(open("/", O_RDONLY));
}

static const struct {
  const char *name;
  void (*take)(void);
} holdings[] = {
    {"shared", take_shared},
    {"writable", take_writable},
    {"readonly", take_readonly},
    {"ring", take_ring},
    {"ring-fd", take_ring_fd},
    {"ring-alone", take_ring_alone},
    {"aio", take_aio},
    {"userfaultfd", take_userfaultfd},
    {"merging", take_merging},
    {"null", take_null},
    {"eventfd", take_eventfd},
    {"file", take_file},
    {"directory", take_directory},
};

void take_holding(const char *name) {
  const size_t size = strlen(name) - is_shared_on_purpose(name);
  for (size_t i = 0; i < sizeof holdings / sizeof holdings[0]; i++) {
    if (strlen(holdings[i].name) == size && strncmp(holdings[i].name, name, size) == 0) {
      holdings[i].take();
    }
  }
}

bool is_shared_on_purpose(const char *name) {
  const size_t size = strlen(name);
  return size > 0 && name[size - 1] == '+';
}
