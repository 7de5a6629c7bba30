/* The joining attach helper: it joins the sandbox and forks the sandboxee there. */
#ifndef SUPERVISOR_ATTACH_JOINING_H
#define SUPERVISOR_ATTACH_JOINING_H

#include <sys/types.h>

#include "entry/setup_report.h"
#include "request/start_request.h"
#include "sandbox.h"

/* Never returns. Runs in a child of the supervisor: enters the sandbox, where the child it forks becomes the
 * sandboxee. report->child_pid holds that child's pid when this one has ended with 0. If the sandbox was made
 * ahead and no longer shows what its paths name, or its init has been killed, it sets report->is_stale and
 * enters nothing. rendezvous_fd: the sandboxee's end. cgroup_fd: the entrance of its cgroup; -1: it stays in
 * ours. */
_Noreturn void attach_joining_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor);

#endif
