/* From the fork in a fork server to the sandboxee that returns to the program. */
#ifndef SANDWIRE_FORKED_CHILD_H
#define SANDWIRE_FORKED_CHILD_H

#include <stdbool.h>

#include "inherited_fds.h"
#include "sandwire/comms.h"
#include "sandwire/forking_client.h"

/* Exit code of a process of a fork server's that could not do its part. */
enum { SANDWIRE_FORK_FAILURE = 121 };

/* Both return in the process that becomes the sandboxee, with comms its own channel; every failure is told on
 * the set-up socket, which that process takes over, and ends it. */

/* Into a sandbox that a sandwire host has made. Needs no privilege but that the kernel uid is the one the
 * sandbox was made by. Runs in a child of vfork() in the fork server, which has file descriptors of its own,
 * comms' closed, and shares the memory. It changes nothing of that but *forks, which is true while it is
 * within fork(), and what the handlers of that call change (pthread_atfork(3)): so until then it may be
 * killed at any instruction. The reader of setup has room. The sandboxee, its child, has a copy of the
 * memory. */
void sandwire_forked_child_enter(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                 const struct sandwire_inherited_fds *inherited,
                                 const struct sandwire_forking_options *options, volatile bool *forks);

/* A child as a host that is sandbox2 wants it without namespaces: in no sandbox. Runs in a child of fork().
 */
void sandwire_forked_child_stay(struct sandwire_comms *setup, struct sandwire_comms *comms,
                                const struct sandwire_inherited_fds *inherited,
                                const struct sandwire_forking_options *options);

#endif
