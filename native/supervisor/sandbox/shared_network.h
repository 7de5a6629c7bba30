/* Networks that several sandboxes are in. To make and take down a network namespace for each costs the kernel
 * a fifth of all a run does, and one without a socket, and without anybody who could make one, holds nothing
 * that two sandboxes could learn of each other. So all whose filter lets nobody make a socket are in one that
 * stays empty; those whose policy asks to share one are in another. Neither is the host's. No sandboxee has
 * any power over them: each belongs to a user namespace that no sandbox is in. */
#ifndef SUPERVISOR_SHARED_NETWORK_H
#define SUPERVISOR_SHARED_NETWORK_H

#include <stdbool.h>

#include "request/sandbox_description.h"

/* In the supervisor, before a sandbox of this description is made: makes the network it wants, once. False:
 * it wants none that is shared, or there cannot be one (errno). */
bool shared_network_prepare(const struct sandbox_description *description);

/* In a stage-1 process, after that: enters it; without privilege also the user namespace it belongs to, where
 * ids are the same as outside. -1 with errno. */
int shared_network_enter(const struct sandbox_description *description);

#endif
