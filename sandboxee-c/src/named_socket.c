#include "named_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 128 };

/* The length of the address, or -errno. Nothing is ever cut short: a name that does not fit is refused. */
static int fill_address(const char *text, struct sockaddr_un *address) {
  size_t length = strlen(text);
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (length == 0 || strcmp(text, "@") == 0) {
    return -EINVAL;
  }
  if (text[0] == '@') {
    if (length > sizeof address->sun_path) {
      return -ENAMETOOLONG;
    }
    memcpy(address->sun_path + 1, text + 1, length - 1); /* the leading NUL stands for the @ */
    return (int)(offsetof(struct sockaddr_un, sun_path) + length);
  }
  if (length >= sizeof address->sun_path) {
    return -ENAMETOOLONG;
  }
  memcpy(address->sun_path, text, length);
  return (int)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

int sandwire_named_socket_listen(const char *text, ino_t *inode) {
  struct sockaddr_un address;
  int length = fill_address(text, &address);
  if (length < 0) {
    return length;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return -errno;
  }
  struct stat status;
  *inode = 0;
  if (bind(fd, (struct sockaddr *)&address, (socklen_t)length) == 0 && listen(fd, BACKLOG) == 0) {
    if (text[0] != '@' && lstat(text, &status) == 0) {
      *inode = status.st_ino;
    }
    return fd;
  }
  int error = errno;
  (void)close(fd);
  return -error;
}

void sandwire_named_socket_remove(const char *address, ino_t inode) {
  struct stat status;
  if (inode != 0 && lstat(address, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_ino == inode) {
    (void)unlink(address); /* nobody can be told, and the next listener would say EADDRINUSE */
  }
}

static long long now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int sandwire_named_socket_accept(int listening, int timeout_ms) {
  long long deadline = timeout_ms < 0 ? 0 : now_ms() + timeout_ms;
  for (;;) {
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
      return fd;
    }
    if (errno == EINTR || errno == ECONNABORTED) {
      continue;
    }
    if (errno != EAGAIN || timeout_ms == 0) {
      return -errno;
    }
    struct pollfd poll_fd = {.fd = listening, .events = POLLIN};
    long long left = timeout_ms < 0 ? -1 : deadline - now_ms();
    int ready = poll(&poll_fd, 1, timeout_ms < 0 ? -1 : (int)(left < 0 ? 0 : left));
    if (ready == 0) {
      return -EAGAIN;
    }
    if (ready < 0 && errno != EINTR) {
      return -errno;
    }
  }
}

static int set_blocking(int fd, bool blocking) {
  const int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -1 : fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

/* 0, or -1 with errno. */
static int connect_within(int fd, const struct sockaddr_un *address, socklen_t length, int timeout_ms) {
  /* A connect() waits for room in the listener's queue for as long as a send() would wait (unix(7)). */
  struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  const struct timeval no_limit = {0};
  int result = 0;
  if (timeout_ms > 0) {
    result = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  } else if (timeout_ms == 0) {
    result = set_blocking(fd, false);
  }
  while (result == 0 && connect(fd, (const struct sockaddr *)address, length) != 0) {
    result = errno == EINTR ? 0 : -1;
  }
  if (result == 0 && timeout_ms > 0) {
    result = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &no_limit, sizeof no_limit);
  } else if (result == 0 && timeout_ms == 0) {
    result = set_blocking(fd, true);
  }
  return result;
}

int sandwire_named_socket_connect_by(int fd, const char *text, int timeout_ms) {
  struct sockaddr_un address;
  const int length = fill_address(text, &address);
  int error = length < 0 ? -length : 0;
  if (error == 0 && connect_within(fd, &address, (socklen_t)length, timeout_ms) != 0) {
    error = errno;
  }
  if (error == 0) {
    return fd;
  }
  (void)close(fd);
  return -error;
}

int sandwire_named_socket_connect(const char *text, int timeout_ms) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : sandwire_named_socket_connect_by(fd, text, timeout_ms);
}
