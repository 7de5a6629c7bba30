#include "host_thread.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "loop/event_loop.h"

static struct watch watch = {.fd = -1};
static void (*when_ended)(void);

static void on_signal(struct watch *signal_watch, uint32_t events) {
  (void)events;
  event_loop_close(signal_watch);
  when_ended();
}

int host_thread_watch(void (*ended)(void)) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  /* Blocked in children as well, until inheritance_reset_signals(). */
  int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
  when_ended = ended;
  if (fd < 0 || event_loop_add(&watch, fd, EPOLLIN, on_signal) != 0) {
    int error = errno;
    if (fd >= 0) {
      close(fd);
    }
    errno = error;
    return -1;
  }
  return prctl(PR_SET_PDEATHSIG, SIGHUP, 0, 0, 0);
}
