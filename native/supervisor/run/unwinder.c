#include "unwinder.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "entry/inheritance.h"
#include "loop/deadlines.h"

static const uint64_t lifetime_ns = 5000000000u;

/* One that waits for its request; process.pid 0: there is none. */
static struct {
  struct process process;
  struct deadline expiry;
  int socket, answer_fd;
} ready = {.process = {.watch = {.fd = -1}}};

/* Beside this program. -1: it is not there. */
static int unwinder_program(void) {
  static int program = -1;
  char path[4096];
  ssize_t length = program >= 0 ? -1 : readlink("/proc/self/exe", path, sizeof(path) - sizeof("sandwire-unwinder"));
  if (length > 0) {
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "sandwire-unwinder");
    program = open(path, O_PATH | O_CLOEXEC);
  }
  return program;
}

/* In the child, which has the supervisor's privileges still: the unwinder drops them when it has opened what it needs. */
_Noreturn static void become_unwinder(int program, int request, int answer) {
  char *const args[] = {"sandwire-unwinder", NULL}, *const envs[] = {NULL};
  /* Nobody's number is one of those taken here: 0 to 3 are the supervisor's standard fds and its control channel. */
  if (inheritance_reset_signals() == 0 && dup2(request, 0) == 0 && dup2(answer, 1) == 1 &&
      syscall(SYS_close_range, UNWIND_LISTENER_FD, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
    syscall(SYS_execveat, program, "", args, envs, AT_EMPTY_PATH);
  }
  _exit(127);
}

static void close_if_open(int fd) {
  if (fd >= 0) {
    close(fd);
  }
}

/* *socket and *answer_fd are the caller's to close if it returns NULL. */
static const char *start(struct process *process,
                         void (*ended)(struct process *, const siginfo_t *, const struct rusage *), int *socket,
                         int *answer_fd) {
  const int program = unwinder_program();
  if (program < 0) {
    return "sandwire-unwinder is not beside the supervisor";
  }
  int pair[2] = {-1, -1};
  const int answer = memfd_create("unwind-answer", MFD_CLOEXEC);
  pid_t pid = -1;
  if (answer >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
    pid = fork();
    if (pid == 0) {
      become_unwinder(program, pair[1], answer);
    }
  }
  close_if_open(pair[1]);
  if (pid < 0 || !process_watch(process, pid, ended)) {
    close_if_open(pair[0]);
    close_if_open(answer);
    return "the unwinder could not be started";
  }
  *socket = pair[0];
  *answer_fd = answer;
  return NULL;
}

/* Nothing is left of it once it is used, or has ended. */
static void forget_ready(void) {
  deadline_clear(&ready.expiry);
  close(ready.socket);
}

static void on_ready_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)process;
  (void)info;
  (void)usage;
  forget_ready();
  close(ready.answer_fd);
}

static void on_expiry(struct deadline *deadline) {
  (void)deadline;
  process_kill(&ready.process);
}

void unwinder_make_ahead(void) {
  if (ready.process.pid == 0 && start(&ready.process, on_ready_end, &ready.socket, &ready.answer_fd) == NULL &&
      deadline_set(&ready.expiry, monotonic_now_ns() + lifetime_ns, on_expiry) != 0) {
    process_kill(&ready.process);
  }
}

/* 0, or -1: it takes none. */
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

const char *unwinder_begin(struct process *process,
                           void (*ended)(struct process *, const siginfo_t *, const struct rusage *),
                           const struct unwind_request *request, int listener, int *answer_fd) {
  if (ready.process.pid != 0 && send_request(ready.socket, request, listener) == 0) {
    if (process_move(process, &ready.process, ended)) {
      forget_ready();
      *answer_fd = ready.answer_fd;
      return NULL;
    }
    process_kill(&ready.process);
  }
  int socket;
  const char *missing = start(process, ended, &socket, answer_fd);
  if (missing == NULL) {
    (void)send_request(socket, request, listener); /* without one it ends, and the run goes on without a trace */
    close(socket);
  }
  return missing;
}
