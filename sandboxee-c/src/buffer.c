#include "sandwire/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buffer_fd.h"

enum { UNMAPPED_AT_ONCE = 8 << 20 };

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

/* In pieces: other threads that want to change the address space wait for each munmap(). */
static void unmap(uint8_t *data, size_t size) {
  for (size_t at = 0; at < size; at += UNMAPPED_AT_ONCE) {
    (void)munmap(data + at, size - at < UNMAPPED_AT_ONCE ? size - at : UNMAPPED_AT_ONCE);
  }
}

void sandwire_buffer_destroy(struct sandwire_buffer *buffer) {
  if (buffer) {
    unmap(buffer->data, buffer->size);
    (void)close(buffer->fd);
    free(buffer);
  }
}

uint8_t *sandwire_buffer_data(const struct sandwire_buffer *buffer) {
  return buffer->data;
}

size_t sandwire_buffer_size(const struct sandwire_buffer *buffer) {
  return buffer->size;
}

int sandwire_buffer_fd(const struct sandwire_buffer *buffer) {
  return buffer->fd;
}

static int map_as_much(struct sandwire_buffer *buffer, size_t size) {
  void *data = mremap(buffer->data, buffer->size, size, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) {
    return -errno;
  }
  buffer->data = data;
  buffer->size = size;
  return 0;
}

enum sandwire_error sandwire_buffer_expand(struct sandwire_buffer *buffer, size_t size) {
  if (size > sandwire_buffer_fd_greatest) {
    errno = EFBIG;
    return SANDWIRE_ERROR_TOO_LARGE;
  }
  size_t met = buffer->size;
  /* A seal makes growing final, so it must not be found out afterwards that there is no room to map it. */
  int error = size > met ? map_as_much(buffer, size) : 0;
  if (error) {
    errno = -error;
    return SANDWIRE_ERROR_SYSTEM;
  }
  size_t wanted;
  error = sandwire_buffer_fd_grow(buffer->fd, size, &wanted);
  if (!error && wanted > buffer->size) {
    error = map_as_much(buffer, wanted); /* the other side has grown it */
  }
  if (error) {
    if (buffer->size > met) {
      (void)map_as_much(buffer, met); /* there is room for less */
    }
    errno = -error;
    return SANDWIRE_ERROR_SYSTEM;
  }
  return SANDWIRE_OK;
}
