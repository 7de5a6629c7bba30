/* One run: a sandbox, the sandboxee in it, and how it ends. Runs in the supervisor. */
#ifndef SUPERVISOR_RUN_H
#define SUPERVISOR_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "request/start_request.h"

/* Takes the request, whose fds are all there, over. Whatever happens from here on, exactly one Ended event
 * follows. */
void run_start(struct start_request *request);

/* These do nothing for a run that is not known, or has ended: the host may learn that a little later. */
void run_kill(uint64_t number);
void run_set_walltime(uint64_t number, uint64_t walltime_ms);

/* The host has taken what waited for it: control_has_room(). */
void runs_on_host_room(void);

/* The listener of a sandboxee that hands it over by itself (a C++ one); takes the fd over. -1: there was none
 * left for it. */
void run_attach_listener(uint64_t number, int listener);

/* From now on called whenever the sandboxee of a run was reaped that a fork server had forked. */
void runs_on_forked_sandboxee_end(void (*reaped)(void));

/* The host is gone: kills every run. Their sandboxes are taken down after that. */
void runs_end(void);

#endif
