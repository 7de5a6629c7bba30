/* What makes whoever closes it wait, and a way to send it. */
#ifndef SANDWIRE_TEST_LINGERING_H
#define SANDWIRE_TEST_LINGERING_H

#include <netinet/in.h>
#include <stdint.h>
#include <time.h>

#include "check.h"

enum { LINGER_SECONDS = 3600, MOST_FDS = 253 };

/* A TCP connection whose one end cannot send any more, and lingers. Returns how many bytes it has taken. */
static inline ssize_t make_lingering(int ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
          listen(listener, 1) == 0);
  REQUIRE(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
  ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int small = 4096;
  REQUIRE(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  REQUIRE(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  REQUIRE(connect(ends[0], (struct sockaddr *)&address, size) == 0);
  ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  REQUIRE(ends[1] >= 0);
  close(listener);
  static const char bytes[4096];
  const struct linger linger = {.l_onoff = 1, .l_linger = LINGER_SECONDS};
  REQUIRE(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
  ssize_t taken = 0;
  for (int refusals = 0; refusals < 20;) { /* room that comes by and by is filled too */
    ssize_t sent = send(ends[0], bytes, sizeof bytes, MSG_DONTWAIT);
    taken += sent > 0 ? sent : 0;
    if (sent < 0) {
      refusals++;
      nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
  }
  return taken;
}

/* Sends bytes with so many fds, which are duplicates of one; flags: MSG_OOB. */
static inline void send_with_fds(int socket, const void *bytes, size_t size, int fd, size_t count,
                                 int flags) {
  union {
    char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
    struct cmsghdr alignment;
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  for (size_t i = 0; i < count; i++) {
    memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof fd);
  }
  REQUIRE(sendmsg(socket, &message, flags) == (ssize_t)size);
}

#endif
