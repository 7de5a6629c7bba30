/* Requests for children, as a fork server receives them, and the first answer: an end of the set-up socket.
 */
#ifndef SANDWIRE_FORK_REQUEST_H
#define SANDWIRE_FORK_REQUEST_H

#include <stdbool.h>

#include "sandwire/comms.h"

struct sandwire_fork_request {
  bool from_sandwire; /* the child attaches to a sandbox of the host's; otherwise the request is sandbox2's
                         own */
  bool can_be_met;    /* by this library */
};

/* Waits for a request on comms. */
enum sandwire_error sandwire_fork_request_receive(struct sandwire_comms *comms,
                                                  struct sandwire_fork_request *request);

/* Makes a set-up socket: pair[0] for the host; pair[1] for the child, with a number above all that a host can
 * map to. 0, or -1 with errno and both -1. */
int sandwire_fork_request_make_socket(int pair[2]);

/* Sends the host its end of the set-up socket, and takes ownership of both ends; *setup is the child's. -1
 * for both, with errno: there is no socket, and comms ends. */
enum sandwire_error sandwire_fork_request_answer(struct sandwire_comms *comms,
                                                 const struct sandwire_fork_request *request,
                                                 const int pair[2], struct sandwire_comms **setup);

/* Reports on the set-up socket that there will be no child. Best effort: the end of the socket means the
 * same. */
void sandwire_fork_request_fail(struct sandwire_comms *setup, int step, int error, const char *detail);

#endif
