/* From the fork in a fork server to the sandboxee that returns to the program. */
#ifndef SANDWIRE_FORKED_CHILD_H
#define SANDWIRE_FORKED_CHILD_H

#include "sandwire/comms.h"
#include "sandwire/forking_client.h"

/* Both return in the process that becomes the sandboxee, with comms its own channel; every failure is told on
 * the set-up socket, which that process takes over, and ends it. */

/* Into a sandbox that a sandwire host has made. Needs no privilege but that the kernel uid is the one the
 * sandbox was made by. Runs in a child of vfork() in the fork server, which has file descriptors of its own,
 * comms' closed, and shares the memory: that is as it was when this process ends, but for what became of
 * setup. The sandboxee, its child, has a copy. */
void sandwire_forked_child_enter(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                 const struct sandwire_forking_options *options);

/* A child as a host that is sandbox2 wants it without namespaces: in no sandbox. Runs in a child of fork().
 */
void sandwire_forked_child_stay(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                const struct sandwire_forking_options *options);

#endif
