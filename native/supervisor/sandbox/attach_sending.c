#include "attach_sending.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "entry/host_privileges.h"
#include "entry/landlock.h"
#include "entry/setup_socket.h"
#include "protobuf.h"
#include "sandwire/wire.generated.h"

enum { MESSAGE_SIZE = PATH_MAX + 8 * SANDWIRE_MAX_LAUNCH_FDS };

static void send_or_fail(const struct start_request *request, struct setup_report *report, uint32_t tag,
                         const void *payload, size_t size, int fd) {
  if (setup_socket_send(request->fds[0], tag, payload, size, fd) != 0) {
    if (errno == EPIPE || errno == ECONNRESET) {
      _exit(0); /* the child has ended; the supervisor reads why, if it has reported that */
    }
    setup_fail(report, SANDWIRE_STEP_FORK_SERVER, "its child takes no messages");
  }
}

static void send_entrance(const struct start_request *request, struct setup_report *report,
                          const struct sandbox_description *description, bool has_rules, bool has_cgroup) {
  uint8_t bytes[MESSAGE_SIZE];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof(bytes));
  sandwire_protobuf_put_bytes(&message, SANDWIRE_ENTRANCE_CWD, request->cwd, strlen(request->cwd));
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_DROP_GROUPS, host_can_map_ids(description));
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_KEEP_NETWORK,
                               description->network == SANDWIRE_NETWORK_HOST);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_LANDLOCK_RULES, has_rules);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_CGROUP, has_cgroup);
  for (size_t i = 1; i < request->fd_count; i++) {
    if (request->targets[i] != SANDWIRE_COMMS_FD) {
      sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_FD_TARGETS, (uint64_t)request->targets[i]);
    }
  }
  if (message.overflow) {
    errno = ENAMETOOLONG;
    setup_fail(report, SANDWIRE_STEP_CWD, "it is too long");
  }
  send_or_fail(request, report, SANDWIRE_TAG_PROTO2, bytes, message.size, -1);
}

_Noreturn void attach_sending_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor) {
  const int init_pidfd = attach_open_init(sandbox, report, supervisor);
  const struct sandbox_description *description = sandbox_describe(sandbox);
  if (setns(init_pidfd, CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    attach_failed(sandbox, report, "setns");
  }
  const int rules = landlock_rules(request, description, -1, request->fds + 1, report);
  send_entrance(request, report, description, rules >= 0, cgroup_fd >= 0);
  send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, init_pidfd);
  send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, rendezvous_fd);
  for (size_t i = 1; i < request->fd_count; i++) {
    if (request->targets[i] == SANDWIRE_COMMS_FD) {
      send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, request->fds[i]);
    }
  }
  if (rules >= 0) {
    send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, rules);
  }
  if (cgroup_fd >= 0) {
    send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, cgroup_fd);
  }
  for (size_t i = 1; i < request->fd_count; i++) {
    if (request->targets[i] != SANDWIRE_COMMS_FD) {
      send_or_fail(request, report, SANDWIRE_TAG_FD, NULL, 0, request->fds[i]);
    }
  }
  _exit(0);
}
