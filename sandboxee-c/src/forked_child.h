/* From the fork in a fork server to the sandboxee that returns to the program. */
#ifndef SANDWIRE_FORKED_CHILD_H
#define SANDWIRE_FORKED_CHILD_H

#include "sandwire/comms.h"
#include "sandwire/forking_client.h"

/* Both run in the child of a fork server, single-threaded, with a copy of all it has but comms, whose fd is closed.
 * They return in the process that becomes the sandboxee, with comms its own channel; every failure is told on the
 * set-up socket, which they take over, and ends the process. */

/* Into a sandbox that a sandwire host has made. Needs no privilege but that the kernel uid is the one the sandbox was
 * made by. */
void sandwire_forked_child_enter(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                 const struct sandwire_forking_options *options);

/* A child as a host that is sandbox2 wants it without namespaces: in no sandbox. */
void sandwire_forked_child_stay(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                const struct sandwire_forking_options *options);

#endif
