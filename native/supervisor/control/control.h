/* The channel to the host: requests in, events out. Runs in the supervisor; never waits for the host. */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the socket over. 0, or -1 with errno. */
int control_open(int socket);

/* Queues one Event message. If there is no memory to queue it the channel is closed, which ends every run: a
 * host that misses an event could wait for ever. */
void control_send_event(const void *event, size_t size);

/* The same for an event nobody waits for: it goes with the next, or a little later. Each one that is sent
 * wakes the host. */
void control_hold_event(const void *event, size_t size);

/* Whether so little waits for the host that it may be asked something more: a question is long, and it may be
 * a while before the host takes it. When there is room again, run_all_host_has_room() is called. */
bool control_has_room(void);

#endif
