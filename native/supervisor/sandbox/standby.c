#include "standby.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "entry/launch.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

enum {
  REQUEST_SIZE = 64 * 1024, /* well below what a socket takes without waiting (net.core.wmem_default) */
  MAX_FDS = 253,            /* of one message: SCM_MAX_FD in the kernel's scm.h */
};

/* In front of the request. The fds are the request's in their order, and then that of the cgroup. */
struct instructions {
  int32_t has_cgroup;
};

union fd_message {
  char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
  struct cmsghdr alignment;
};

bool standby_can_take(const struct start_request *request) {
  return request->encoded_size <= REQUEST_SIZE && request->fd_count < MAX_FDS;
}

int standby_instruct(int socket, const struct start_request *request, int cgroup_fd) {
  struct instructions instructions = {.has_cgroup = cgroup_fd >= 0};
  struct iovec parts[] = {{&instructions, sizeof(instructions)},
                          {(void *)request->encoded, request->encoded_size}};
  const size_t given = start_request_given(request), count = given + (cgroup_fd >= 0 ? 1 : 0);
  union fd_message control;
  memset(&control, 0, CMSG_SPACE(count * sizeof(int)));
  struct msghdr message = {
      .msg_iov = parts,
      .msg_iovlen = 2,
      .msg_control = control.bytes,
      .msg_controllen = CMSG_SPACE(count * sizeof(int)),
  };
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(rights), request->fds, given * sizeof(int));
  if (cgroup_fd >= 0) {
    memcpy(CMSG_DATA(rights) + given * sizeof(int), &cgroup_fd, sizeof(int));
  }
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* The request, with its fds; *cgroup_fd is -1 if there is none. */
static struct start_request *receive(const struct standby_fds *fds, struct setup_report *report,
                                     int *cgroup_fd) {
  static uint8_t bytes[REQUEST_SIZE];
  struct instructions instructions;
  union fd_message control;
  struct iovec parts[] = {{&instructions, sizeof(instructions)}, {bytes, sizeof(bytes)}};
  struct msghdr message = {
      .msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
  const ssize_t size = recvmsg(fds->socket, &message, MSG_CMSG_CLOEXEC);
  if (size == 0) {
    _exit(0); /* no run took the sandbox */
  }
  const struct cmsghdr *rights = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
  if (size < (ssize_t)sizeof(instructions) || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      rights == NULL) {
    setup_fail(report, SANDWIRE_STEP_FDS,
               "receiving them"); /* MSG_CTRUNC: this process may not have so many */
  }
  const char *reason = NULL;
  uint64_t run = 0;
  struct start_request *request =
      start_request_parse(bytes, (size_t)size - sizeof(instructions), &run, &reason);
  if (request == NULL) {
    errno = ENOMEM; /* it is what the supervisor has parsed already */
    setup_fail(report, SANDWIRE_STEP_MEMORY, reason);
  }
  const size_t given = start_request_given(request), expected = given + (instructions.has_cgroup ? 1 : 0);
  if (rights->cmsg_len != CMSG_LEN(expected * sizeof(int)) || request->null_count > STANDBY_NULLS) {
    errno = EMFILE;
    setup_fail(report, SANDWIRE_STEP_FDS, "receiving them");
  }
  memcpy(request->fds, CMSG_DATA(rights), given * sizeof(int));
  memcpy(request->fds + given, fds->nulls, request->null_count * sizeof(int));
  *cgroup_fd = -1;
  if (instructions.has_cgroup) {
    memcpy(cgroup_fd, CMSG_DATA(rights) + given * sizeof(int), sizeof(int));
  }
  return request;
}

static int ascending(const void *a, const void *b) {
  return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

_Noreturn void standby_main(const struct sandbox_description *description, struct setup_report *report,
                            const struct standby_fds *fds) {
  int kept[1 + STANDBY_NULLS] = {fds->socket};
  memcpy(kept + 1, fds->nulls, sizeof(fds->nulls));
  qsort(kept, sizeof(kept) / sizeof(kept[0]), sizeof(kept[0]), ascending);
  /* Before all else: it may wait for long, and has what the supervisor had open, ends of other runs' sockets
   * too. */
  if (sandwire_close_all_fds_but(kept, sizeof(kept) / sizeof(kept[0])) != 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "close_range");
  }
  (void)prctl(PR_SET_NAME, "sandwire-inside", 0, 0, 0); /* shown in lists of processes; exec changes it */
  launch_prepare(report);
  int cgroup_fd;
  const struct start_request *request = receive(fds, report, &cgroup_fd);
  launch_go_on(request, report, fds->socket, cgroup_fd, description);
}
