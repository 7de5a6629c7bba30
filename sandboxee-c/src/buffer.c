#include "sandwire/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct sandwire_buffer {
  int fd;
  uint8_t *data;
  size_t size;
};

/* Bytes off_t and pointer differences can hold. */
static const size_t greatest_size = (size_t)INT64_MAX / 2;

static struct sandwire_buffer *map_fd(int fd, size_t size) {
  struct sandwire_buffer *buffer = malloc(sizeof *buffer);
  if (!buffer) {
    return NULL;
  }
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    int saved_errno = errno;
    free(buffer);
    errno = saved_errno;
    return NULL;
  }
  *buffer = (struct sandwire_buffer){.fd = fd, .data = data, .size = size};
  return buffer;
}

struct sandwire_buffer *sandwire_buffer_create(size_t size) {
  if (size == 0 || size > greatest_size) {
    errno = EINVAL;
    return NULL;
  }
  int fd = memfd_create("sandwire_buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    return NULL;
  }
  struct sandwire_buffer *buffer = NULL;
  if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
    buffer = map_fd(fd, size);
  }
  if (!buffer) {
    int saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
  }
  return buffer;
}

struct sandwire_buffer *sandwire_buffer_from_fd(int fd) {
  int seals = fcntl(fd, F_GET_SEALS); /* EINVAL: not a memfd */
  if (seals < 0) {
    return NULL;
  }
  if (!(seals & F_SEAL_SHRINK)) {
    errno = EPERM;
    return NULL;
  }
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return NULL;
  }
  if (status.st_size <= 0) {
    errno = EINVAL;
    return NULL;
  }
  return map_fd(fd, (size_t)status.st_size);
}

void sandwire_buffer_destroy(struct sandwire_buffer *buffer) {
  if (buffer) {
    (void)munmap(buffer->data, buffer->size);
    (void)close(buffer->fd);
    free(buffer);
  }
}

uint8_t *sandwire_buffer_data(const struct sandwire_buffer *buffer) { return buffer->data; }

size_t sandwire_buffer_size(const struct sandwire_buffer *buffer) { return buffer->size; }

int sandwire_buffer_fd(const struct sandwire_buffer *buffer) { return buffer->fd; }

enum sandwire_error sandwire_buffer_expand(struct sandwire_buffer *buffer, size_t size) {
  if (size > greatest_size) {
    return SANDWIRE_ERROR_TOO_LARGE;
  }
  struct stat status;
  if (fstat(buffer->fd, &status) != 0) {
    return SANDWIRE_ERROR_SYSTEM;
  }
  size_t wanted = (size_t)status.st_size;
  if (size > wanted) {
    /* If the other side grows it further meanwhile, the seal makes this fail instead of shrinking it. */
    if (ftruncate(buffer->fd, (off_t)size) != 0) {
      return SANDWIRE_ERROR_SYSTEM;
    }
    wanted = size;
  }
  if (wanted == buffer->size) {
    return SANDWIRE_OK;
  }
  void *data = mremap(buffer->data, buffer->size, wanted, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) {
    return SANDWIRE_ERROR_SYSTEM;
  }
  buffer->data = data;
  buffer->size = wanted;
  return SANDWIRE_OK;
}
