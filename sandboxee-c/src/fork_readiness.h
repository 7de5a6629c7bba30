/* What a fork server must be like at the moment it forks, so that a child shares nothing with it or with
 * another child. */
#ifndef SANDWIRE_FORK_READINESS_H
#define SANDWIRE_FORK_READINESS_H

#include "forking_client_private.h"

/* Right before a fork. SANDWIRE_OK, and the client knows which open files are not for the child that setup is
 * for; or why there can be none now, which the host hears on setup. */
enum sandwire_error sandwire_fork_readiness_check(struct sandwire_forking_client *client,
                                                  struct sandwire_comms *setup);

#endif
