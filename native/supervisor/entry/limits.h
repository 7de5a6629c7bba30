/* What a child of the supervisor gets of its request before it becomes a program: fds in their places,
 * limits, the rules of its fence. */
#ifndef SUPERVISOR_LIMITS_H
#define SUPERVISOR_LIMITS_H

#include <stdbool.h>
#include <sys/types.h>

#include "request/sandbox_description.h"
#include "request/start_request.h"
#include "sandbox/sandbox.h"
#include "setup_report.h"

/* First thing in a child that enters, or leads another in: whether there is still somebody to do it for, and
 * a sandbox that shows what it should. Returns the pidfd of its init; a failure ends the child. */
int arrange_entrance(const struct sandbox *sandbox, struct setup_report *report, pid_t supervisor);

/* The entrance has failed, with errno. If the sandbox was made ahead and its init killed while it waited,
 * that is no fault of the run: it sets report->is_stale, and another is made. */
_Noreturn void arrange_entrance_failed(const struct sandbox *sandbox, struct setup_report *report,
                                       const char *detail);

/* In the child: puts every fd in its place and closes the rest. rendezvous_fd -1: none. A failure ends the
 * child. */
void arrange_fds(const struct start_request *request, int rendezvous_fd, struct setup_report *report);

/* Sets the limits of a process, 0: the calling one. 0, or -1 with errno and *name, the limit in words. */
int arrange_limits(const struct start_request *request, pid_t pid, const char **name);

/* For a sandboxee that has just come under its policy, which keeps the limit of core files as it is: whether
 * it is what it was set to, or the program has changed it before. Runs in the supervisor. */
bool arrange_core_limit_stands(const struct start_request *request, pid_t pid);

/* In the sandbox, as long as nothing keeps the child from opening what the rules are about: limits, or
 * another user's directories. fds: those of the request from its second on, in their places by now or not.
 * Returns an fd or LANDLOCK_NOT_NEEDED. A failure ends the child. */
int arrange_fence(const struct start_request *request, const struct sandbox_description *description,
                  int program, const int *fds, struct setup_report *report);

#endif
