/* The standby process of a sandbox: it is made with the sandbox, waits in it, and becomes the sandboxee of
 * the run that takes the sandbox. What it needs for that reaches it by its socket, once, as one message. */
#ifndef SUPERVISOR_STANDBY_H
#define SUPERVISOR_STANDBY_H

#include <stdbool.h>

#include "entry/setup_report.h"
#include "request/sandbox_description.h"
#include "request/start_request.h"

/* True if the request fits into one message. If not, its sandboxee is brought into a sandbox without a
 * standby process (attach_joining.h). */
bool standby_can_take(const struct start_request *request);

/* In the supervisor. cgroup_fd: the entrance of the run's cgroup, or -1. 0, or -1 with errno: EPIPE when it
 * is gone. */
int standby_instruct(int socket, const struct start_request *request, int cgroup_fd);

/* What it brings with it from outside: its end of the socket, and /dev/null for each standard fd that its
 * program may lack, since there may be none inside. */
enum { STANDBY_NULLS = 3 };
struct standby_fds {
  int socket;
  int nulls[STANDBY_NULLS];
};

/* In the sandbox, with all capabilities there, in a child of the supervisor: waits for its instructions and
 * becomes the program. Never returns; the end of the socket ends it. The supervisor's end is the rendezvous
 * socket of the launch later on. */
_Noreturn void standby_main(const struct sandbox_description *description, struct setup_report *report,
                            const struct standby_fds *fds);

#endif
