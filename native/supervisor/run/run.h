/* One run: a sandbox, the sandboxee in it, and how it ends. Runs in the supervisor. */
#ifndef SUPERVISOR_RUN_H
#define SUPERVISOR_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "request/start_request.h"

/* Takes the request over; all its fds have been received. Whatever happens from here on, exactly one Ended
 * event is sent. */
void run_start(struct start_request *request);

/* These do nothing for a run that is not known, or has ended, since the host may not know that yet. */
void run_kill(uint64_t number);
void run_set_walltime(uint64_t number, uint64_t walltime_ms);

/* The host has taken what waited for it: control_has_room(). */
void runs_on_host_room(void);

/* The listener of a sandboxee that sends it to the host (sandbox2's own client); takes the fd over. -1: the
 * supervisor had no number left for it. */
void run_attach_listener(uint64_t number, int listener);

/* From now on called whenever the sandboxee of a run was reaped that a fork server had forked. */
void runs_on_forked_sandboxee_end(void (*reaped)(void));

/* The host is gone: kills every run. Their sandboxes are taken down after that. */
void runs_end(void);

#endif
