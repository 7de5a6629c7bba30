/* Bytes and fds over the socket fd 3, without any layer above it: used by both ends of the floors. */
#ifndef SANDWIRE_BENCH_RAW_SOCKET_H
#define SANDWIRE_BENCH_RAW_SOCKET_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RAW_SOCKET = 3, RAW_HEADER_SIZE = 12, RAW_CHUNK = 4 << 20 };

static inline void must(int holds) {
  if (!holds) {
    _exit(9);
  }
}

static inline char *raw_chunk(void) {
  static char *chunk;
  if (chunk == NULL) {
    chunk = calloc(1, RAW_CHUNK);
    must(chunk != NULL);
  }
  return chunk;
}

/* Receives total bytes in as few reads as possible. */
static inline void raw_receive(size_t total) {
  char *chunk = raw_chunk();
  while (total > 0) {
    ssize_t received = recv(RAW_SOCKET, chunk, total < RAW_CHUNK ? total : RAW_CHUNK, 0);
    must(received > 0);
    total -= (size_t)received;
  }
}

/* Sends count messages of a header and size bytes; of small ones as many in a send as fit into 64 KiB. */
static inline void raw_send_messages(int count, size_t size) {
  char *chunk = raw_chunk();
  size_t left = (size_t)count * (size + RAW_HEADER_SIZE);
  size_t piece = size + RAW_HEADER_SIZE > 65536 ? size + RAW_HEADER_SIZE : 65536;
  while (left > 0) {
    ssize_t sent = send(RAW_SOCKET, chunk, left < piece ? left : piece, MSG_NOSIGNAL);
    must(sent > 0);
    left -= (size_t)sent;
  }
}

static inline void raw_send_fd(int fd) {
  char header[RAW_HEADER_SIZE] = {0};
  struct iovec part = {header, sizeof header};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control = {{0}};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  must(sendmsg(RAW_SOCKET, &message, MSG_NOSIGNAL) == RAW_HEADER_SIZE);
}

static inline int raw_receive_fd(void) {
  char header[RAW_HEADER_SIZE];
  struct iovec part = {header, sizeof header};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  must(recvmsg(RAW_SOCKET, &message, MSG_CMSG_CLOEXEC) == RAW_HEADER_SIZE);
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  must(rights != NULL);
  int fd;
  memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  return fd;
}

#endif
