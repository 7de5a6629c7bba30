/* From a process of ours, before a sandbox or in it, to the sandboxee's first instruction. */
#ifndef SUPERVISOR_LAUNCH_H
#define SUPERVISOR_LAUNCH_H

#include "request/start_request.h"
#include "sandbox/sandbox.h"
#include "setup_report.h"

/* Never returns. Runs in a child of the supervisor: enters the sandbox, where the child it forks becomes the
 * sandboxee. report->child_pid holds that child's pid when this one has ended with 0. If the sandbox was made
 * ahead and no longer shows what its paths name, or its init has been killed, it sets report->is_stale and
 * enters nothing. rendezvous_fd: the sandboxee's end. cgroup_fd: the entrance of its cgroup; -1: it stays in
 * ours. */
_Noreturn void launch_main(const struct start_request *request, struct setup_report *report,
                           const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd, pid_t supervisor);

/* The steps inside, with all capabilities there, of launch_main() and of a sandbox's resident. First those
 * that need no request. A failure ends the process. */
void launch_prepare(struct setup_report *report);

/* Then the rest; becomes the program. */
_Noreturn void launch_go_on(const struct start_request *request, struct setup_report *report,
                            int rendezvous_fd, int cgroup_fd, const struct sandbox_description *description);

#endif
