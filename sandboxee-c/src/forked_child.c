#include "forked_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client_private.h"
#include "entrance.h"
#include "fork_request.h"
#include "privileges.h"
#include "protobuf.h"
#include "transport.h"

enum { MAX_TARGETS = SANDWIRE_MAX_LAUNCH_FDS, MESSAGE_SIZE = PATH_MAX + 8 * MAX_TARGETS };
/* Received fds are kept above every number that a host can map to. */
enum { ABOVE_TARGETS = SANDWIRE_COMMS_FD + 1 };

struct entrance {
  char cwd[PATH_MAX];
  bool drop_groups, keep_network, landlock_rules, cgroup;
  int targets[MAX_TARGETS];
  size_t target_count;
  int init_pidfd, rendezvous_fd, comms_fd, rules_fd, cgroup_fd; /* -1: none */
  int fds[MAX_TARGETS];                                         /* fds[i] is to become targets[i] */
};

_Noreturn static void fail(struct sandwire_comms *setup, int step, const char *detail) {
  sandwire_fork_request_fail(setup, step, errno, detail);
  _exit(SANDWIRE_FORK_FAILURE);
}

/* ---- What the host's side sends ---- */

/* The host has given the child up, or speaks nonsense: there is nobody to tell. */
static void must(enum sandwire_error error) {
  if (error) {
    _exit(SANDWIRE_FORK_FAILURE);
  }
}

static bool parse(struct entrance *entrance, const uint8_t *bytes, size_t size) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, size);
  while (sandwire_protobuf_next(&reader, &field)) {
    if (field.number == SANDWIRE_ENTRANCE_CWD && field.wire_type == 2) {
      if (field.size >= sizeof entrance->cwd) {
        return false;
      }
      memcpy(entrance->cwd, field.bytes, field.size);
      entrance->cwd[field.size] = '\0';
    } else if (field.number == SANDWIRE_ENTRANCE_DROP_GROUPS) {
      entrance->drop_groups = field.value != 0;
    } else if (field.number == SANDWIRE_ENTRANCE_KEEP_NETWORK) {
      entrance->keep_network = field.value != 0;
    } else if (field.number == SANDWIRE_ENTRANCE_LANDLOCK_RULES) {
      entrance->landlock_rules = field.value != 0;
    } else if (field.number == SANDWIRE_ENTRANCE_CGROUP) {
      entrance->cgroup = field.value != 0;
    } else if (field.number == SANDWIRE_ENTRANCE_FD_TARGETS && field.wire_type == 0) {
      if (entrance->target_count == MAX_TARGETS || field.value > SANDWIRE_COMMS_FD) {
        return false;
      }
      entrance->targets[entrance->target_count++] = (int)field.value;
    }
  }
  return !reader.malformed;
}

static int receive_fd(struct sandwire_comms *setup) {
  int fd = -1;
  must(sandwire_comms_recv_fd(setup, &fd));
  int lifted = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_TARGETS);
  if (lifted < 0) {
    fail(setup, SANDWIRE_STEP_FDS, "no room for file descriptors above 1023 (ulimit -n)");
  }
  (void)close(fd);
  return lifted;
}

static void receive_entrance(struct sandwire_comms *setup, struct entrance *entrance) {
  uint8_t bytes[MESSAGE_SIZE];
  size_t size = 0;
  memset(entrance, 0, sizeof *entrance);
  must(sandwire_comms_recv_protobuf(setup, bytes, sizeof bytes, &size));
  const bool is_whole = parse(entrance, bytes, size);
  explicit_bzero(bytes, size); /* the fork server's memory, and of this child's affairs */
  if (!is_whole) {
    _exit(SANDWIRE_FORK_FAILURE);
  }
  entrance->init_pidfd = receive_fd(setup);
  entrance->rendezvous_fd = receive_fd(setup);
  entrance->comms_fd = receive_fd(setup);
  entrance->rules_fd = entrance->landlock_rules ? receive_fd(setup) : -1;
  entrance->cgroup_fd = entrance->cgroup ? receive_fd(setup) : -1;
  for (size_t i = 0; i < entrance->target_count; i++) {
    entrance->fds[i] = receive_fd(setup);
  }
}

/* ---- In the sandbox ---- */

/* Closes fd, whose place is now target. A number the program itself uses is not taken from it, standard
 * input, output and error apart. */
static void place(struct sandwire_comms *setup, int fd, int target, int flags) {
  if (target > 2 && fcntl(target, F_GETFD) >= 0) {
    char detail[64];
    snprintf(detail, sizeof detail, "the fork server itself uses fd %d", target);
    errno = EBUSY;
    fail(setup, SANDWIRE_STEP_FDS, detail);
  }
  if (dup3(fd, target, flags) < 0) {
    fail(setup, SANDWIRE_STEP_FDS, "dup3");
  }
  (void)close(fd);
}

/* Until then the sandboxee is the child of the process that has led it in, and after that of the supervisor,
 * which looks for just that. */
static void await_end_of(struct sandwire_comms *setup, int parent_pidfd) {
  struct pollfd parent = {.fd = parent_pidfd, .events = POLLIN};
  while (poll(&parent, 1, -1) < 0) {
    if (errno != EINTR) {
      fail(setup, SANDWIRE_STEP_ENTER, "poll");
    }
  }
  (void)close(parent_pidfd);
}

/* The object the program holds becomes the channel of this process; what the fork server had read ahead on it
 * is not for its children. */
static void take_over_comms(struct sandwire_comms *comms, int fd) {
  sandwire_reader_destroy(&comms->reader);
  sandwire_reader_init(&comms->reader, comms->payload_limit);
  comms->fd = fd;
  comms->send_failure = comms->receive_failure = SANDWIRE_OK;
  comms->error_text[0] = '\0';
}

/* Nothing that is open is the fork server's any more; then the program's own hook runs. */
static void part_from_fork_server(struct sandwire_comms *setup,
                                  const struct sandwire_inherited_fds *inherited,
                                  const struct sandwire_forking_options *options) {
  errno = sandwire_inherited_fds_replace(inherited);
  if (errno != 0) {
    fail(setup, SANDWIRE_STEP_FDS, "replacing those of the fork server");
  }
  int error = options->after_fork_in_child ? options->after_fork_in_child(options->context) : 0;
  if (error != 0) {
    errno = error;
    fail(setup, SANDWIRE_STEP_FORK_SERVER, "after_fork_in_child");
  }
}

/* With all capabilities of the sandbox's user namespace, which end here. */
static void become_sandboxee(struct sandwire_comms *setup, struct sandwire_comms *comms,
                             const struct entrance *entrance) {
  (void)close(entrance->init_pidfd);
  if (entrance->cgroup_fd >= 0 &&
      (sandwire_join_cgroup(entrance->cgroup_fd) != 0 || close(entrance->cgroup_fd) != 0)) {
    fail(setup, SANDWIRE_STEP_CGROUP, "entering it");
  }
  if (sandwire_leave_keyring() != 0) {
    fail(setup, SANDWIRE_STEP_SESSION, "keyring");
  }
  if (sandwire_leave_memory_merging() != 0) {
    fail(setup, SANDWIRE_STEP_PRIVILEGES, "PR_SET_MEMORY_MERGE");
  }
  for (size_t i = 0; i < entrance->target_count; i++) {
    place(setup, entrance->fds[i], entrance->targets[i], 0);
  }
  place(setup, entrance->rendezvous_fd, SANDWIRE_RENDEZVOUS_FD, O_CLOEXEC);
  place(setup, entrance->comms_fd, SANDWIRE_COMMS_FD, O_CLOEXEC);
  if (sandwire_drop_bounding_set() != 0) {
    fail(setup, SANDWIRE_STEP_PRIVILEGES, "the bounding set");
  }
  enum sandwire_setup_step step;
  if (sandwire_become_unprivileged(entrance->drop_groups, entrance->rules_fd, &step) != 0) {
    fail(setup, (int)step, step == SANDWIRE_STEP_IDENTITY ? "sandboxee" : "capabilities, no_new_privs");
  }
  if (chdir(entrance->cwd[0] == '\0' ? "/" : entrance->cwd) != 0) {
    fail(setup, SANDWIRE_STEP_CWD, entrance->cwd);
  }
  take_over_comms(comms, SANDWIRE_COMMS_FD);
  sandwire_client_note_rendezvous();
}

void sandwire_forked_child_enter(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                 const struct sandwire_inherited_fds *inherited,
                                 const struct sandwire_forking_options *options, volatile bool *forks) {
  struct entrance entrance;
  struct sandwire_comms own = *setup;
  own.payload_limit = own.reader.payload_limit = MESSAGE_SIZE; /* there is room for that */
  receive_entrance(&own, &entrance);
  int own_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  int lifted = own_pidfd < 0 ? -1 : fcntl(own_pidfd, F_DUPFD_CLOEXEC, ABOVE_TARGETS);
  if (lifted < 0) {
    fail(&own, SANDWIRE_STEP_ENTER, "pidfd_open");
  }
  (void)close(own_pidfd);
  if (sandwire_join_sandbox(entrance.init_pidfd, entrance.keep_network) != 0) {
    fail(&own, SANDWIRE_STEP_ENTER, "setns");
  }
  *forks = true;
  pid_t sandboxee = fork();
  *forks = false;
  if (sandboxee < 0) {
    fail(&own, SANDWIRE_STEP_ENTER, "fork");
  }
  if (sandboxee > 0) {
    explicit_bzero(&entrance, sizeof entrance);
    _exit(0);
  }
  *setup = own; /* this process has memory of its own */
  become_sandboxee(setup, comms, &entrance);
  part_from_fork_server(setup, inherited, options);
  await_end_of(setup, lifted);
  must(sandwire_comms_send_credentials(setup));
  /* The supervisor has seen that this process is where it should be, and limits what it may use up. */
  uint32_t go = 0;
  must(sandwire_comms_recv_uint32(setup, &go));
  /* Only now: until it knows this process the supervisor finds it by the process group of the fork server. */
  if (go != SANDWIRE_LIMITS_APPLIED || setsid() < 0) {
    _exit(SANDWIRE_FORK_FAILURE);
  }
  sandwire_comms_destroy(setup);
}

void sandwire_forked_child_stay(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                const struct sandwire_inherited_fds *inherited,
                                const struct sandwire_forking_options *options) {
  int fd = -1;
  must(sandwire_comms_recv_fd(setup, &fd));
  if (setsid() < 0 || sandwire_leave_keyring() != 0 || sandwire_clear_capabilities(-1) != 0) {
    _exit(SANDWIRE_FORK_FAILURE);
  }
  take_over_comms(comms, fd);
  part_from_fork_server(setup, inherited, options);
  must(sandwire_comms_send_credentials(setup));
  sandwire_comms_destroy(setup);
}
