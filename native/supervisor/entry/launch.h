/* From a process of ours in a sandbox to the sandboxee's first instruction. */
#ifndef SUPERVISOR_LAUNCH_H
#define SUPERVISOR_LAUNCH_H

#include "request/sandbox_description.h"
#include "request/start_request.h"
#include "setup_report.h"

/* The steps inside, with all capabilities there. First those that need no request. A failure ends the
 * process. */
void launch_prepare(struct setup_report *report);

/* Then the rest; becomes the program. */
_Noreturn void launch_go_on(const struct start_request *request, struct setup_report *report,
                            int rendezvous_fd, int cgroup_fd, const struct sandbox_description *description);

#endif
