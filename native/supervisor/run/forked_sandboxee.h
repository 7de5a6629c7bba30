/* A run whose sandboxee a fork server forks: the supervisor's wait until it is in the sandbox. Runs in the
 * supervisor. */
#ifndef SUPERVISOR_FORKED_SANDBOXEE_H
#define SUPERVISOR_FORKED_SANDBOXEE_H

#include "request/start_request.h"

struct run;
struct forked_sandboxee;

/* The attach helper has sent everything: waits until the sandboxee names itself, which ends in
 * run_watch_sandboxee() or in run_fail_setup(). */
void forked_sandboxee_await(struct run *run);

/* The wait is over. NULL is fine. */
void forked_sandboxee_destroy(struct forked_sandboxee *forked);

#endif
