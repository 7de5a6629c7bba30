#include "unwinder.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "entry/inheritance.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "loop/process.h"

static const uint64_t lifetime_ns = 5000000000u;

/* Lives until its process is reaped. */
struct unwinder {
  struct process process;
  struct watch channel; /* brings the answer */
  int socket;           /* the same, before it has a request; -1 after that */
  struct deadline expiry;
  struct run *run; /* NULL: no run waits for it */
  unwinder_done *done;
};

static struct unwinder *ready; /* waits for its request */

/* Beside this program. -1: it does not exist. */
static int unwinder_program(void) {
  static int program = -1;
  char path[4096];
  ssize_t length =
      program >= 0 ? -1 : readlink("/proc/self/exe", path, sizeof(path) - sizeof("sandwire-unwinder"));
  if (length > 0) {
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "sandwire-unwinder");
    program = open(path, O_PATH | O_CLOEXEC);
  }
  return program;
}

/* In the child, which has the supervisor's privileges still: the unwinder drops them when it has opened what
 * it needs. */
_Noreturn static void become_unwinder(int program, int socket) {
  char *const args[] = {"sandwire-unwinder", NULL}, *const envs[] = {NULL};
  /* No fd that is needed has one of these numbers: 0 to 3 are the supervisor's standard fds and its control
   * channel. */
  if (inheritance_reset_signals() == 0 && dup2(socket, 0) == 0 && dup2(socket, 1) == 1 &&
      syscall(SYS_close_range, UNWIND_LISTENER_FD, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
    syscall(SYS_execveat, program, "", args, envs, AT_EMPTY_PATH);
  }
  _exit(127);
}

/* It has answered, or has ended without an answer. */
static void take_answer(struct unwinder *unwinder) {
  static unsigned char answer[UNWIND_ANSWER_SIZE];
  struct run *run = unwinder->run;
  const ssize_t size = recv(unwinder->channel.fd, answer, sizeof(answer), MSG_DONTWAIT);
  unwinder_end(unwinder);
  unwinder->done(run, size > 0 ? answer : NULL, size > 0 ? (size_t)size : 0);
}

static void on_answer(struct watch *channel, uint32_t events) {
  (void)events;
  take_answer((struct unwinder *)((char *)channel - offsetof(struct unwinder, channel)));
}

static void on_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  struct unwinder *unwinder = (struct unwinder *)process; /* its first member */
  if (unwinder->run != NULL) {
    take_answer(unwinder); /* its last message, if there is one */
  }
  if (unwinder == ready) {
    ready = NULL;
    deadline_clear(&unwinder->expiry);
    close(unwinder->socket);
  }
  free(unwinder);
}

void unwinder_end(struct unwinder *unwinder) {
  if (unwinder != NULL) {
    unwinder->run = NULL;
    event_loop_close(&unwinder->channel);
    process_kill(&unwinder->process); /* most often it is ending already */
  }
}

static struct unwinder *start(const char **missing) {
  const int program = unwinder_program();
  if (program < 0) {
    *missing = "sandwire-unwinder is not beside the supervisor";
    return NULL;
  }
  *missing = "the unwinder could not be started";
  int pair[2];
  struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
  if (unwinder == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    free(unwinder);
    return NULL;
  }
  process_init(&unwinder->process);
  unwinder->channel.fd = -1;
  unwinder->socket = pair[0];
  const pid_t pid = process_fork();
  if (pid == 0) {
    become_unwinder(program, pair[1]);
  }
  close(pair[1]);
  if (pid < 0 || !process_watch(&unwinder->process, pid, on_end)) {
    close(pair[0]);
    free(unwinder);
    return NULL;
  }
  return unwinder;
}

static void on_expiry(struct deadline *deadline) {
  process_kill(&((struct unwinder *)((char *)deadline - offsetof(struct unwinder, expiry)))->process);
}

void unwinder_prewarm(void) {
  const char *missing;
  if (ready != NULL) {
    return;
  }
  ready = start(&missing);
  if (ready != NULL && deadline_set(&ready->expiry, monotonic_now_ns() + lifetime_ns, on_expiry) != 0) {
    process_kill(&ready->process);
  }
}

static struct unwinder *take_ready(void) {
  struct unwinder *unwinder = ready;
  if (unwinder != NULL) {
    ready = NULL;
    deadline_clear(&unwinder->expiry);
  }
  return unwinder;
}

/* 0, or -1: it takes no request. */
static int send_request(int socket, const struct unwind_request *request, int listener) {
  struct iovec part = {(void *)request, offsetof(struct unwind_request, threads) +
                                            (size_t)request->thread_count * sizeof(request->threads[0])};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (listener >= 0) {
    memset(&control, 0, sizeof(control));
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof(control.bytes);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &listener, sizeof(listener));
  }
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)part.iov_len ? 0 : -1;
}

/* False: it takes no request, and ends. */
static bool instruct(struct unwinder *unwinder, const struct unwind_request *request, int listener) {
  const int socket = unwinder->socket;
  unwinder->socket = -1;
  if (send_request(socket, request, listener) == 0 &&
      event_loop_add(&unwinder->channel, socket, EPOLLIN, on_answer) == 0) {
    return true;
  }
  close(socket);
  process_kill(&unwinder->process);
  return false;
}

struct unwinder *unwinder_begin(const struct unwind_request *request, int listener, struct run *run,
                                unwinder_done *done, const char **missing) {
  struct unwinder *unwinder = take_ready();
  if (unwinder == NULL || !instruct(unwinder, request, listener)) {
    unwinder = start(missing);
    if (unwinder == NULL || !instruct(unwinder, request, listener)) {
      return NULL;
    }
  }
  unwinder->run = run;
  unwinder->done = done;
  return unwinder;
}
