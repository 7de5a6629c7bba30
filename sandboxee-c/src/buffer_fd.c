#include "buffer_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

const size_t sandwire_buffer_fd_greatest = (size_t)INT64_MAX / 2;

int sandwire_buffer_fd_create(size_t size) {
  if (size == 0 || size > sandwire_buffer_fd_greatest) {
    return -EINVAL;
  }
  int fd = memfd_create("sandwire_buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    return -errno;
  }
  if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    int error = errno;
    (void)close(fd);
    return -error;
  }
  return fd;
}

/* A process that shares huge pages may give them back (fallocate(2), FALLOC_FL_PUNCH_HOLE). A reader that
 * touches such a place when none are left gets SIGBUS. Ordinary pages come from all memory. */
static int refuse_huge_pages(int fd, const struct stat *status) {
  if (status->st_blksize <= sysconf(_SC_PAGESIZE)) {
    return 0; /* without a syscall that a policy would have to allow */
  }
  struct statfs file_system;
  if (fstatfs(fd, &file_system) != 0) {
    return -errno;
  }
  return file_system.f_type == TMPFS_MAGIC ? 0 : -EOPNOTSUPP;
}

int sandwire_buffer_fd_measure(int fd, size_t *size) {
  int seals = fcntl(fd, F_GET_SEALS); /* EINVAL: not a memfd */
  if (seals < 0) {
    return -errno;
  }
  if (!(seals & F_SEAL_SHRINK)) {
    return -EPERM;
  }
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return -errno;
  }
  if (status.st_size <= 0) {
    return -EINVAL;
  }
  *size = (size_t)status.st_size;
  return refuse_huge_pages(fd, &status);
}

int sandwire_buffer_fd_grow(int fd, size_t size, size_t *grown) {
  if (size > sandwire_buffer_fd_greatest) {
    return -EFBIG;
  }
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return -errno;
  }
  size_t met = (size_t)status.st_size;
  if (size > met) {
    /* If the other side grows it further meanwhile, the seal makes this fail instead of shrinking it. */
    if (ftruncate(fd, (off_t)size) != 0) {
      return -errno;
    }
    met = size;
  }
  *grown = met;
  return 0;
}
