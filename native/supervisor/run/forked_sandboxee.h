/* A run whose sandboxee another process forks: the supervisor's wait for it to come into the sandbox. Runs in
 * the supervisor. */
#ifndef SUPERVISOR_FORKED_SANDBOXEE_H
#define SUPERVISOR_FORKED_SANDBOXEE_H

#include "request/start_request.h"

struct run;
struct forked_sandboxee;

/* The guide has sent everything: waits for the sandboxee to name itself, which ends in run_watch_sandboxee()
 * or in run_fail_setup(). */
void forked_sandboxee_await(struct run *run);

/* The wait is over. NULL is fine. */
void forked_sandboxee_destroy(struct forked_sandboxee *forked);

#endif
