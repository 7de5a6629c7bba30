/* Raw messages, for peers that misbehave. */
#ifndef SANDWIRE_TEST_WIRE_BYTES_H
#define SANDWIRE_TEST_WIRE_BYTES_H

#include <dirent.h>
#include <stdint.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "socket_io.h"

static inline size_t put_header(uint8_t *bytes, uint32_t tag, uint64_t length) {
  memcpy(bytes, &tag, 4);
  memcpy(bytes + 4, &length, 8);
  return SANDWIRE_HEADER_SIZE;
}

static inline void send_raw(int socket, const void *bytes, size_t size, int fd) {
  struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
  REQUIRE(sandwire_socket_send(socket, &part, 1, 0, fd) == (ssize_t)size);
}

static inline void send_header(int socket, uint32_t tag, uint64_t length, int fd) {
  uint8_t header[SANDWIRE_HEADER_SIZE];
  send_raw(socket, header, put_header(header, tag, length), fd);
}

static inline size_t count_open_fds(void) {
  DIR *directory = opendir("/proc/self/fd");
  REQUIRE(directory);
  size_t count = 0;
  while (readdir(directory)) {
    count++;
  }
  closedir(directory);
  return count;
}

#endif
