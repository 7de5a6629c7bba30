/* The supervisor's child that tells a child of a fork server the way into a sandbox. */
#ifndef SUPERVISOR_ATTACH_SENDING_H
#define SUPERVISOR_ATTACH_SENDING_H

#include "entry/setup_report.h"
#include "request/start_request.h"
#include "sandbox.h"

/* Never returns. Runs in a child of the supervisor, in the place of attach_joining_main() for a sandboxee
 * that another process forks: makes the Landlock rules in the sandbox, since only there its files are to be
 * seen, and sends all that is needed for the entrance on the set-up socket. Ends with 0 when it is sent. If
 * the sandbox was made ahead and no longer shows what its paths name, it sets report->is_stale and sends
 * nothing. rendezvous_fd: the sandboxee's end. cgroup_fd: the cgroup it is to enter, or -1. */
_Noreturn void attach_sending_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor);

#endif
