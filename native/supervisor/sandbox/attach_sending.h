/* The sending attach helper: it sends the joiner of a fork server what it needs to bring a sandboxee into a
 * sandbox. */
#ifndef SUPERVISOR_ATTACH_SENDING_H
#define SUPERVISOR_ATTACH_SENDING_H

#include "entry/setup_report.h"
#include "request/start_request.h"
#include "sandbox.h"

/* Never returns. It makes the Landlock rules in the sandbox, since only there its files can be seen, and
 * sends all that is needed on the set-up socket. Ends with 0 when it is sent. If the sandbox is stale, it
 * sets report->is_stale and sends nothing. rendezvous_fd: the sandboxee's end. cgroup_fd: the entrance of its
 * cgroup, or -1. */
_Noreturn void attach_sending_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor);

#endif
