#include "closer_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "listener_private.h"
#include "transport.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

enum { MOST_AT_ONCE = 16, STACK_SIZE = 256 * 1024 };

struct sandwire_closer {
  struct sandwire_aside *aside;
  struct sandwire_aside *tableless; /* one thread, whose table of fds is its own, and empty */
  atomic_uint users;                /* the owner, and each job */
};

/* A copy of the table is closed here: at least its first 64 fds (dup_fd() in the kernel's fs/file.c). */
static void leave_table(struct sandwire_aside_job *job) {
  (void)syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE);
  free(job);
}

static void release(struct sandwire_closer *closer) {
  if (atomic_fetch_sub(&closer->users, 1) == 1) {
    sandwire_aside_release(closer->aside);
    sandwire_aside_release(closer->tableless);
    free(closer);
  }
}

struct sandwire_closer *sandwire_closer_create(void) {
  struct sandwire_closer *closer = calloc(1, sizeof *closer);
  struct sandwire_aside_job *leaving = malloc(sizeof *leaving);
  if (!closer || !leaving || !(closer->aside = sandwire_aside_create(MOST_AT_ONCE)) ||
      !(closer->tableless = sandwire_aside_create(1))) {
    free(leaving);
    if (closer) {
      atomic_init(&closer->users, 1);
      release(closer);
    }
    errno = ENOMEM;
    return NULL;
  }
  atomic_init(&closer->users, 1);
  int error = sandwire_aside_start(closer->aside);
  error = error ? error : sandwire_aside_start(closer->tableless);
  if (error) {
    free(leaving);
    release(closer);
    errno = -error;
    return NULL;
  }
  *leaving = (struct sandwire_aside_job){.run = leave_table};
  sandwire_aside_do(closer->tableless, leaving);
  return closer;
}

void sandwire_closer_destroy(struct sandwire_closer *closer) {
  if (closer) {
    release(closer);
  }
}

void sandwire_closer_do(struct sandwire_closer *closer, struct sandwire_aside_job *job) {
  sandwire_aside_do(closer->aside, job);
}

/* ---- Sockets ---- */

bool sandwire_socket_lingers(int fd) {
  struct linger linger;
  socklen_t size = sizeof linger;
  return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff && linger.l_linger > 0;
}

static void unset_linger(int fd) {
  const struct linger none = {.l_onoff = 0, .l_linger = 0};
  if (sandwire_socket_lingers(fd)) {
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }
}

/* A task that ends does not linger: inet_release() in the kernel's net/ipv4/af_inet.c looks for PF_EXITING,
 * and so do its like for other families. That holds for the sockets in a socket's queue too, which nobody can
 * reach to change their options, and whatever others who have the socket do at the same moment. So the last
 * reference is held by a thread with a table of fds of its own, and goes when that thread ends.
 *
 * The table has nothing else in it. A copy of the process's table would keep all that is in it open, and
 * could not be closed without waiting for each of its files. So these threads are made by one that has left
 * the table before there was anything in it that is slow to close. */
struct last_holder {
  struct sandwire_aside_job job;
  int fd;
  bool has_it;
  pid_t tid;
  sem_t ready, may_end;
};

static void await(sem_t *semaphore) {
  while (sem_wait(semaphore) != 0 && errno == EINTR) {
  }
}

static void *hold(void *argument) {
  struct last_holder *holder = argument;
  holder->tid = (pid_t)syscall(SYS_gettid);
  /* Not the table of the other holders. */
  if (syscall(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) == 0) {
    int process = (int)syscall(SYS_pidfd_open, getpid(), 0);
    holder->has_it = process >= 0 && syscall(SYS_pidfd_getfd, process, holder->fd, 0) >= 0;
  }
  (void)sem_post(&holder->ready);
  await(&holder->may_end);
  return NULL;
}

/* In the thread without a table. */
static void start_holder(struct sandwire_aside_job *job) {
  struct last_holder *holder = (struct last_holder *)job; /* its first member */
  pthread_attr_t attributes;
  pthread_t thread;
  int error = pthread_attr_init(&attributes);
  if (!error) {
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE + (size_t)PTHREAD_STACK_MIN);
    error = pthread_create(&thread, &attributes, hold, holder);
    (void)pthread_attr_destroy(&attributes);
  }
  if (error) {
    (void)sem_post(&holder->ready);
  }
}

/* Until the kernel has forgotten the thread, which is after it has closed all (do_exit()). */
static void await_end(pid_t tid) {
  struct timespec pause = {.tv_nsec = 50000};
  while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) {
    (void)nanosleep(&pause, NULL);
    pause.tv_nsec *= pause.tv_nsec < 50000000 ? 2 : 1;
  }
}

static void close_socket(struct sandwire_closer *closer, int fd) {
  struct last_holder holder = {.job = {.run = start_holder}, .fd = fd};
  (void)sem_init(&holder.ready, 0, 0);
  (void)sem_init(&holder.may_end, 0, 0);
  sandwire_aside_do(closer->tableless, &holder.job);
  await(&holder.ready);
  if (!holder.has_it) {
    /* No thread to be had, or no pidfd_getfd() (Linux 5.6, and some containers): it may linger after all if
     * its peer sets that again, just now. */
    unset_linger(fd);
  }
  (void)close(fd);
  if (holder.tid > 0) {
    (void)sem_post(&holder.may_end);
    await_end(holder.tid);
  }
  (void)sem_destroy(&holder.ready);
  (void)sem_destroy(&holder.may_end);
}

/* ---- Closing ---- */

struct closing {
  struct sandwire_aside_job job;
  struct sandwire_closer *closer;
  int fd;
  bool only_unset_linger;
};

static void run_closing(struct sandwire_aside_job *job) {
  struct closing *closing = (struct closing *)job; /* its first member */
  int type;
  socklen_t size = sizeof type;
  bool is_socket = getsockopt(closing->fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
  if (closing->only_unset_linger) {
    unset_linger(closing->fd);
  }
  if (is_socket) {
    close_socket(closing->closer, closing->fd);
  } else {
    (void)close(closing->fd);
  }
  release(closing->closer);
  free(closing);
}

static bool hand_over(struct sandwire_closer *closer, int fd, bool only_unset_linger) {
  struct closing *closing = malloc(sizeof *closing);
  if (closing) {
    *closing = (struct closing){
        .job = {.run = run_closing}, .closer = closer, .fd = fd, .only_unset_linger = only_unset_linger};
    atomic_fetch_add(&closer->users, 1);
    sandwire_aside_do(closer->aside, &closing->job);
  }
  return closing != NULL;
}

void sandwire_closer_close(struct sandwire_closer *closer, int fd) {
  if (!hand_over(closer, fd, false)) {
    (void)close(fd); /* a process that is out of memory has waits like this one everywhere */
  }
}

void sandwire_closer_unset_linger(struct sandwire_closer *closer, int fd) {
  int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (duplicate >= 0 && !hand_over(closer, duplicate, true)) {
    (void)close(duplicate); /* not the last one */
  }
}

/* Whether it listens, and nobody is left who has connected and was not accepted. */
static bool is_taken_apart(struct sandwire_closer *closer, int fd) {
  int listens = 0, connection;
  socklen_t size = sizeof listens;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) {
    return false;
  }
  while ((connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
    sandwire_closer_close(closer, connection);
  }
  /* After the shutdown it waits for none: unix_accept() in the kernel. EAGAIN: it would not have waited
   * anyway. */
  return errno == EINVAL || errno == EAGAIN;
}

void sandwire_closer_close_exclusive(struct sandwire_closer *closer, int fd) {
  /* Nothing comes any more after that, so what is empty stays so. */
  (void)shutdown(fd, SHUT_RDWR);
  if (sandwire_socket_is_empty(fd) || is_taken_apart(closer, fd)) {
    (void)close(fd);
  } else {
    sandwire_closer_close(closer, fd);
  }
}

/* ---- Buffers ---- */

struct destroying {
  struct sandwire_aside_job job;
  struct sandwire_buffer *buffer;
};

static void run_destroying(struct sandwire_aside_job *job) {
  sandwire_buffer_destroy(((struct destroying *)job)->buffer);
  free(job);
}

void sandwire_closer_destroy_buffer(struct sandwire_closer *closer, struct sandwire_buffer *buffer) {
  struct destroying *destroying = buffer ? malloc(sizeof *destroying) : NULL;
  if (destroying) {
    *destroying = (struct destroying){.job = {.run = run_destroying}, .buffer = buffer};
    sandwire_aside_do(closer->aside, &destroying->job);
  } else {
    sandwire_buffer_destroy(buffer);
  }
}

/* ---- For comms ---- */

static void discard(void *closer, int fd) {
  sandwire_closer_close(closer, fd);
}

void sandwire_listener_set_closer(struct sandwire_listener *listener, struct sandwire_closer *closer) {
  listener->closer = closer;
  listener->close = closer ? discard : NULL;
  listener->guard = closer ? sandwire_comms_set_closer : NULL;
}

void sandwire_comms_set_closer(struct sandwire_comms *comms, struct sandwire_closer *closer) {
  comms->reader.closer = closer;
  comms->reader.discard = closer ? discard : NULL;
  if (closer) {
    sandwire_socket_keep_urgent(comms->fd);
  }
}
