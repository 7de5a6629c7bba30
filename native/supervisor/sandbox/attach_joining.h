/* The joining attach helper: it joins the sandbox and forks the sandboxee there. */
#ifndef SUPERVISOR_ATTACH_JOINING_H
#define SUPERVISOR_ATTACH_JOINING_H

#include <sys/types.h>

#include "entry/setup_report.h"
#include "request/start_request.h"
#include "sandbox.h"

/* Never returns. The child that it forks in the sandbox becomes the sandboxee; report->child_pid is that
 * child's pid when the helper has ended with 0. If the sandbox is stale, it sets report->is_stale and joins
 * nothing. rendezvous_fd: the sandboxee's end. cgroup_fd: the entrance of its cgroup; -1: it stays in the
 * supervisor's.
 */
_Noreturn void attach_joining_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor);

#endif
