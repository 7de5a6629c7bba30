#include "sandwire/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listener_private.h"
#include "named_socket.h"

struct sandwire_listener *sandwire_listen(const char *address) {
  size_t size = strlen(address) + 1;
  struct sandwire_listener *listener = calloc(1, sizeof *listener + size);
  if (!listener) {
    return NULL;
  }
  memcpy(listener->address, address, size);
  listener->fd = sandwire_named_socket_listen(address, &listener->inode);
  if (listener->fd < 0) {
    int error = -listener->fd;
    free(listener);
    errno = error;
    return NULL;
  }
  return listener;
}

/* fd: a socket, or -errno. */
static struct sandwire_comms *comms_on(int fd) {
  if (fd < 0) {
    errno = -fd;
    return NULL;
  }
  struct sandwire_comms *comms = sandwire_comms_create(fd);
  if (!comms) {
    int saved_errno = errno;
    (void)close(fd);
    errno = saved_errno;
  }
  return comms;
}

struct sandwire_comms *sandwire_listener_accept(struct sandwire_listener *listener, int timeout_ms) {
  struct sandwire_comms *comms =
      comms_on(sandwire_named_socket_accept(listener->fd, timeout_ms < 0 ? -1 : timeout_ms));
  if (comms && listener->guard) {
    listener->guard(comms, listener->closer);
  }
  return comms;
}

int sandwire_listener_fd(const struct sandwire_listener *listener) {
  return listener->fd;
}

void sandwire_listener_destroy(struct sandwire_listener *listener) {
  if (listener) {
    sandwire_named_socket_remove(listener->address, listener->inode);
    if (listener->close) {
      listener->close(listener->closer, listener->fd);
    } else {
      (void)close(listener->fd);
    }
    free(listener);
  }
}

struct sandwire_comms *sandwire_comms_connect(const char *address, int timeout_ms) {
  return comms_on(sandwire_named_socket_connect(address, timeout_ms < 0 ? -1 : timeout_ms));
}
