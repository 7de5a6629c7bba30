#include "child_signal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "event_loop.h"

enum { MAX_LISTENERS = 4 };

static void (*listeners[MAX_LISTENERS])(void);
static struct watch watch = {.fd = -1};

static void on_signal(struct watch *signal_watch, uint32_t events) {
  (void)events;
  struct signalfd_siginfo info;
  (void)!read(signal_watch->fd, &info, sizeof(info)); /* one, if any: they do not queue (signal(7)) */
  for (size_t i = 0; i < MAX_LISTENERS && listeners[i] != NULL; i++) {
    listeners[i]();
  }
}

static bool open_watch(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
  if (fd >= 0 && event_loop_add(&watch, fd, EPOLLIN, on_signal) != 0) {
    int error = errno;
    close(fd);
    errno = error;
    return false;
  }
  return fd >= 0;
}

bool child_signal_listen(void (*listener)(void)) {
  if (watch.fd < 0 && !open_watch()) {
    return false;
  }
  for (size_t i = 0; i < MAX_LISTENERS; i++) {
    if (listeners[i] == listener) {
      return true;
    }
    if (listeners[i] == NULL) {
      listeners[i] = listener;
      return true;
    }
  }
  errno = ENOSPC;
  return false;
}
