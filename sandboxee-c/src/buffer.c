#include "sandwire/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer_fd.h"

struct sandwire_buffer {
  int fd;
  uint8_t *data;
  size_t size;
};

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
  int fd = sandwire_buffer_fd_create(size);
  if (fd < 0) {
    errno = -fd;
    return NULL;
  }
  struct sandwire_buffer *buffer = map_fd(fd, size);
  if (!buffer) {
    int saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
  }
  return buffer;
}

struct sandwire_buffer *sandwire_buffer_from_fd(int fd) {
  size_t size;
  int error = sandwire_buffer_fd_measure(fd, &size);
  if (error) {
    errno = -error;
    return NULL;
  }
  return map_fd(fd, size);
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
  size_t wanted;
  int error = sandwire_buffer_fd_grow(buffer->fd, size, &wanted);
  if (error) {
    errno = -error;
    return error == -EFBIG ? SANDWIRE_ERROR_TOO_LARGE : SANDWIRE_ERROR_SYSTEM;
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
