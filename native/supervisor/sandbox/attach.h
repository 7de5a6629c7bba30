/* Attach helpers: processes that the supervisor forks to bring a sandboxee into a sandbox that exists. Each
 * does a bounded piece of work and ends by itself. */
#ifndef SUPERVISOR_ATTACH_H
#define SUPERVISOR_ATTACH_H

#include <sys/types.h>

#include "entry/setup_report.h"
#include "request/start_request.h"
#include "sandbox.h"

/* First thing in an attach helper: ends it if the supervisor has died, or if the sandbox does not show what
 * it should. Returns the pidfd of the sandbox's init; a failure ends the helper. */
int attach_open_init(const struct sandbox *sandbox, struct setup_report *report, pid_t supervisor);

/* The sandbox cannot be joined, with errno. If it is prewarmed and its init was killed, that is no fault of
 * the run: it sets report->is_stale, and another sandbox is made. */
_Noreturn void attach_failed(const struct sandbox *sandbox, struct setup_report *report, const char *detail);

#endif
