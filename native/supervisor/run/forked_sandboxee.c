/* The sandboxee names itself by credentials, and they only say where to look: a process with privileges in
 * its pid namespace can forge its pid (unix(7), SCM_CREDENTIALS). So a pid is accepted if, held by a pidfd,
 * it is a child of the supervisor, which only another child can have left to it, and in each namespace of
 * this sandbox. Then it can at worst be another process of the same sandbox. */
#include "forked_sandboxee.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/limits.h"
#include "entry/setup_socket.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "protobuf.h"
#include "reader.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"

enum { MESSAGE_LIMIT = 4096 };
/* From the moment it has all it needs; it takes a millisecond. */
static const uint64_t entrance_limit_ns = 10000000000u;

struct forked_sandboxee {
  struct watch setup;
  struct sandwire_reader reader;
  struct deadline deadline;
  struct run *run;
};

void forked_sandboxee_destroy(struct forked_sandboxee *forked) {
  if (forked == NULL) {
    return;
  }
  deadline_clear(&forked->deadline);
  event_loop_close(&forked->setup);
  sandwire_reader_destroy(&forked->reader);
  free(forked);
}

static void fail(struct run *run, int error, const char *detail) {
  run_fail_setup(run, SANDWIRE_STEP_FORK_SERVER, error, detail);
}

/* True if both are in the same namespace of each kind. In a cgroup of its own the sandboxee has made itself
 * another cgroup namespace. */
static bool is_in_sandbox_of(pid_t init, pid_t pid, bool has_cgroup) {
  static const char *const kinds[] = {"cgroup", "user", "mnt", "pid", "net", "ipc", "uts"};
  for (size_t i = has_cgroup ? 1 : 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    char path[64];
    struct stat expected, found;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)init, kinds[i]);
    if (stat(path, &expected) != 0) {
      return false;
    }
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[i]);
    if (stat(path, &found) != 0 || found.st_dev != expected.st_dev || found.st_ino != expected.st_ino) {
      return false;
    }
  }
  return true;
}

/* Why this process cannot be the sandboxee of the run; NULL: it can. */
static const char *reject(const struct run *run, pid_t pid) {
  const pid_t init = sandbox_init(run->sandbox);
  if (pid <= 1 || init == 0 || pid == init) {
    return "its child named no process of the sandbox";
  }
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* so that the pid stays its own while it is looked at */
  if (pidfd < 0) {
    return "its child has ended";
  }
  siginfo_t info;
  const char *reason = NULL;
  if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    reason = "its child named a process that is not ours to watch";
  } else if (!is_in_sandbox_of(init, pid, run->cgroup != NULL)) {
    reason = "its child is not in the sandbox";
  }
  close(pidfd);
  return reason; /* the pid of a child stays its own until it is reaped */
}

static void adopt(struct forked_sandboxee *forked, pid_t pid) {
  struct run *run = forked->run;
  const char *reason = reject(run, pid);
  if (reason != NULL) {
    fail(run, 0, reason);
    return;
  }
  if (!run_watch_sandboxee(run, pid)) {
    return;
  }
  const char *limit = "";
  const uint32_t go = SANDWIRE_LIMITS_APPLIED;
  if (limits_set(run->request, pid, &limit) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_LIMITS, errno, limit);
  } else if (setup_socket_send(forked->setup.fd, SANDWIRE_TAG_UINT32, &go, sizeof(go), -1) != 0) {
    fail(run, errno, "telling its child to go on");
  }
}

/* The steps that a child takes by itself; it may report any number. */
static bool is_step_of_child(uint64_t step) {
  static const int steps[] = {
      SANDWIRE_STEP_FORK,       SANDWIRE_STEP_IDENTITY, SANDWIRE_STEP_ENTER,
      SANDWIRE_STEP_SESSION,    SANDWIRE_STEP_FDS,      SANDWIRE_STEP_CWD,
      SANDWIRE_STEP_PRIVILEGES, SANDWIRE_STEP_LANDLOCK, SANDWIRE_STEP_CGROUP,
  };
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    if (step == (uint64_t)steps[i]) {
      return true;
    }
  }
  return false;
}

/* EntranceFailure. */
static void take_failure(struct run *run, const struct sandwire_message *message) {
  struct sandwire_protobuf_reader fields;
  struct sandwire_protobuf_field field;
  int step = SANDWIRE_STEP_FORK_SERVER, error = 0;
  char detail[SETUP_DETAIL_SIZE] = "";
  sandwire_protobuf_reader_init(&fields, message->payload, message->length);
  while (sandwire_protobuf_next(&fields, &field)) {
    if (field.number == SANDWIRE_ENTRANCE_FAILURE_STEP && is_step_of_child(field.value)) {
      step = (int)field.value;
    } else if (field.number == SANDWIRE_ENTRANCE_FAILURE_ERRNO && field.value < 4096) {
      error = (int)field.value;
    } else if (field.number == SANDWIRE_ENTRANCE_FAILURE_DETAIL && field.wire_type == 2) {
      size_t size = field.size < sizeof(detail) ? field.size : sizeof(detail) - 1;
      memcpy(detail, field.bytes, size);
      detail[size] = '\0';
    }
  }
  run_fail_setup(run, step, error, detail);
}

static void take_message(struct forked_sandboxee *forked, const struct sandwire_message *message) {
  if (message->tag == SANDWIRE_TAG_CREDS) {
    adopt(forked, forked->reader.credentials.pid);
  } else if (message->tag == SANDWIRE_TAG_PROTO2) {
    take_failure(forked->run, message);
  } else {
    if (message->fd >= 0) {
      close(message->fd);
    }
    fail(forked->run, 0, "its child sent something else than its credentials");
  }
}

/* One message decides; then the wait is over. */
static void on_setup(struct watch *watch, uint32_t events) {
  (void)events;
  struct forked_sandboxee *forked = (struct forked_sandboxee *)watch; /* its first member */
  struct run *run = forked->run;
  int result = sandwire_reader_fill(&forked->reader, watch->fd, MSG_DONTWAIT);
  if (result == SANDWIRE_ERROR_SYSTEM && errno == EAGAIN) {
    return;
  }
  struct sandwire_message message;
  int found = result == SANDWIRE_OK ? sandwire_reader_next(&forked->reader, &message) : -1;
  if (found == 0) {
    return;
  }
  if (found == 1) {
    take_message(forked, &message);
  } else if (result == SANDWIRE_ERROR_CLOSED || result == SANDWIRE_ERROR_SYSTEM) {
    fail(run, 0, "its child ended before it was in the sandbox");
  } else {
    fail(run, 0, "its child sent what is no message");
  }
  run->forked = NULL;
  forked_sandboxee_destroy(forked);
  run_advance(run);
}

static void on_deadline(struct deadline *deadline) {
  struct forked_sandboxee *forked =
      (struct forked_sandboxee *)((char *)deadline - offsetof(struct forked_sandboxee, deadline));
  struct run *run = forked->run;
  fail(run, 0, "its child has not entered the sandbox within 10 s");
  run->forked = NULL;
  forked_sandboxee_destroy(forked);
  run_advance(run);
}

void forked_sandboxee_await(struct run *run) {
  const int on = 1; /* set here, whatever the fork server has set */
  int fd = run->request->fds[0];
  struct forked_sandboxee *forked = calloc(1, sizeof(*forked));
  if (forked == NULL || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, forked == NULL ? ENOMEM : errno, "set-up socket");
    free(forked);
    return;
  }
  forked->run = run;
  sandwire_reader_init(&forked->reader, MESSAGE_LIMIT);
  forked->reader.wants_credentials = true;
  if (event_loop_add(&forked->setup, fd, EPOLLIN, on_setup) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    free(forked);
    return;
  }
  run->request->fds[0] = -1; /* the watch has it now */
  if (deadline_set(&forked->deadline, monotonic_now_ns() + entrance_limit_ns, on_deadline) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, ENOMEM, "deadline");
  }
  run->forked = forked;
}
