#include "empty_network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 16384, NAME_BYTES = 8 };
static const char name_start[] = "sandwire-";

/* What a process is sent into the namespace for. The process shares this memory. */
struct errand {
  struct sandwire_empty_network *network;
  bool enters; /* the existing namespaces; if false, it starts in new ones */
  bool has_entered;
  int *single; /* where to put one unconnected socket; NULL: fill the stock of pairs instead */
  int error;   /* 0: it succeeded */
};

/* ---- In the process that is sent ----
 *
 * It shares memory and file descriptors with its parent. As after vfork(2), the parent's calling thread waits
 * until it has ended; other threads run on. It can be killed at any instruction. So it makes system calls and
 * writes to the errand and its own stack only: no locks, no allocation, no cancellation points of the C
 * library. If it is killed, at most the pair that it was making stays open. */

static int open_namespace(const char *path) {
  return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

/* Binds it to a random name in the abstract namespace. */
static int give_name(int fd) {
  static const char digits[] = "0123456789abcdef";
  uint8_t random[NAME_BYTES];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (syscall(SYS_getrandom, random, sizeof random, 0) != (long)sizeof random) {
    return -1;
  }
  char *end = address.sun_path + 1; /* after the NUL that makes it abstract */
  for (size_t i = 0; i < sizeof name_start - 1; i++) {
    *end++ = name_start[i];
  }
  for (size_t i = 0; i < sizeof random; i++) {
    *end++ = digits[random[i] >> 4];
    *end++ = digits[random[i] & 15];
  }
  return (int)syscall(SYS_bind, fd, &address, (socklen_t)(end - (char *)&address));
}

static int make_pair(int type, int pair[2]) {
  if (syscall(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) {
    return -1;
  }
  if (give_name(pair[0]) == 0 && give_name(pair[1]) == 0) {
    return 0;
  }
  const int error = errno;
  (void)syscall(SYS_close, pair[0]);
  (void)syscall(SYS_close, pair[1]);
  errno = error;
  return -1;
}

static int make_stock(struct sandwire_empty_network *network) {
  while (network->stock_count < network->batch) {
    if (make_pair(network->type, network->stock[network->stock_count]) != 0) {
      return -1;
    }
    network->stock_count++;
  }
  return 0;
}

static int run_errand(void *argument) {
  struct errand *errand = argument;
  struct sandwire_empty_network *network = errand->network;
  if (!errand->enters) {
    network->user = open_namespace("/proc/self/ns/user");
    network->network = open_namespace("/proc/self/ns/net");
  } else if (syscall(SYS_setns, network->user, CLONE_NEWUSER) != 0 ||
             syscall(SYS_setns, network->network, CLONE_NEWNET) != 0) {
    errand->error = errno;
    return 0;
  }
  errand->has_entered = true;
  if (errand->single == NULL) {
    errand->error = make_stock(network) == 0 ? 0 : errno;
  } else {
    *errand->single = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    errand->error = *errand->single < 0 ? errno : 0;
  }
  return 0;
}

/* ---- In the calling process ---- */

static void close_if_open(int *fd) {
  if (*fd >= 0) {
    (void)close(*fd);
  }
  *fd = -1;
}

static void forget_namespaces(struct sandwire_empty_network *network) {
  close_if_open(&network->user);
  close_if_open(&network->network);
}

/* The child has no exit signal, so that neither a SIGCHLD handler nor a plain wait() notices it (clone(2);
 * __WCLONE in wait(2)). */
static void send_out(struct errand *errand) {
  alignas(16) char stack[STACK_SIZE];
  sigset_t all, usual;
  errand->enters = errand->network->user >= 0;
  errand->has_entered = false;
  errand->error = EAGAIN; /* stays if the child is killed */
  /* A signal handler must not run in the child, which has our memory. */
  sigfillset(&all);
  (void)sigprocmask(SIG_SETMASK, &all, &usual); /* cannot fail with these arguments */
  const int flags =
      CLONE_VM | CLONE_FILES | CLONE_VFORK | (errand->enters ? 0 : CLONE_NEWUSER | CLONE_NEWNET);
  const pid_t child = clone(run_errand, stack + sizeof stack, flags, errand);
  if (child < 0) {
    errand->error = errno;
  }
  while (child > 0 && waitpid(child, NULL, __WALL) < 0 && errno == EINTR) {
  }
  (void)sigprocmask(SIG_SETMASK, &usual, NULL);
  if (errand->network->user < 0 || errand->network->network < 0) {
    forget_namespaces(errand->network); /* there is no /proc; the next call makes new ones */
  }
}

/* 0, or an errno. */
static int run(struct sandwire_empty_network *network, int *single) {
  struct errand errand = {.network = network, .single = single};
  send_out(&errand);
  if (errand.enters && !errand.has_entered) {
    /* This process may have changed its uid since. The new one does not own them. */
    forget_namespaces(network);
    send_out(&errand);
  }
  return errand.error;
}

void sandwire_empty_network_init(struct sandwire_empty_network *network, int type, size_t batch) {
  *network = (struct sandwire_empty_network){.type = type, .batch = batch, .user = -1, .network = -1};
}

void sandwire_empty_network_close(struct sandwire_empty_network *network) {
  while (network->stock_count > 0) {
    network->stock_count--;
    (void)close(network->stock[network->stock_count][0]);
    (void)close(network->stock[network->stock_count][1]);
  }
  forget_namespaces(network);
}

int sandwire_empty_network_pair(struct sandwire_empty_network *network, int pair[2]) {
  const int error = network->stock_count == 0 ? run(network, NULL) : 0;
  /* An error can come after some pairs were made; then it does not matter. */
  if (network->stock_count == 0) {
    return -error;
  }
  network->stock_count--;
  memcpy(pair, network->stock[network->stock_count], sizeof network->stock[0]);
  return 0;
}

int sandwire_empty_network_socket(struct sandwire_empty_network *network) {
  int single = -1;
  const int error = run(network, &single);
  if (error == 0) {
    return single;
  }
  close_if_open(&single);
  return -error;
}
