#include "event_loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "deadlines.h"

enum { BATCH = 64 };

static int epoll_fd = -1;
static bool stopped;
/* The events being delivered: a watch that is closed by an earlier one of the same batch is struck out. */
static struct epoll_event batch[BATCH];
static int batch_size;

int event_loop_open(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  return epoll_fd < 0 ? -1 : 0;
}

int event_loop_add(struct watch *watch, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t)) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    return -1;
  }
  watch->fd = fd;
  watch->ready = ready;
  return 0;
}

int event_loop_change(struct watch *watch, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

int event_loop_move(struct watch *watch, struct watch *from, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, from->fd, &event) != 0) {
    return -1;
  }
  *watch = *from;
  from->fd = -1;
  for (int i = 0; i < batch_size; i++) {
    if (batch[i].data.ptr == from) {
      batch[i].data.ptr = watch;
    }
  }
  return 0;
}

int event_loop_release(struct watch *watch) {
  int fd = watch->fd;
  if (fd < 0) {
    return -1;
  }
  watch->fd = -1;
  /* Explicitly, not by close(): a child between fork and exec may still hold the description, and epoll(7)
   * would then go on reporting it. It can only fail if the fd was never added. */
  (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
  for (int i = 0; i < batch_size; i++) {
    if (batch[i].data.ptr == watch) {
      batch[i].data.ptr = NULL;
    }
  }
  return fd;
}

void event_loop_close(struct watch *watch) {
  int fd = event_loop_release(watch);
  if (fd >= 0) {
    close(fd);
  }
}

int event_loop_run(void) {
  stopped = false;
  while (!stopped) {
    int count = epoll_wait(epoll_fd, batch, BATCH, deadlines_timeout_ms());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return -1;
    }
    batch_size = count;
    for (int i = 0; i < batch_size && !stopped; i++) {
      struct watch *watch = batch[i].data.ptr;
      if (watch != NULL) {
        batch[i].data.ptr = NULL;
        watch->ready(watch, batch[i].events);
      }
    }
    batch_size = 0;
    deadlines_run_due();
  }
  return 0;
}

void event_loop_stop(void) {
  stopped = true;
}
