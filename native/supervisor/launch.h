/* From the supervisor's fork to the sandboxee's first instruction. */
#ifndef SUPERVISOR_LAUNCH_H
#define SUPERVISOR_LAUNCH_H

#include "setup_report.h"
#include "start_request.h"

/* Never returns. Runs in a child of the supervisor: enters the sandbox of init, where the child it forks becomes
 * the sandboxee. report->sandboxee_pid holds that child's pid when this one has ended with 0. rendezvous_fd: the
 * sandboxee's end. */
_Noreturn void launch_main(const struct start_request *request, struct setup_report *report, pid_t init,
                           int rendezvous_fd, pid_t supervisor);

#endif
