/* Fork servers: programs of the host's author that run unsandboxed and fork sandboxees. The supervisor starts
 * them: so their orphans become its children, and it reaps them. Runs in the supervisor. */
#ifndef SUPERVISOR_FORK_SERVER_H
#define SUPERVISOR_FORK_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "request/start_request.h"

/* Takes the request over; all its fds have been received. Exactly one Ended event is sent. */
void fork_server_start(struct start_request *request);

/* Does nothing if there is none of that number. The sandboxees it has forked go on. */
void fork_server_kill(uint64_t number);

/* Kills all; gone is called when the last is reaped. */
void fork_servers_end(void (*gone)(void));
size_t fork_servers_alive(void);

#endif
