/* Host privileges: what the host's user may do beyond an ordinary user. Root in a container often lacks some
 * of root's. Runs in the supervisor and the children it forks. */
#ifndef SUPERVISOR_HOST_PRIVILEGES_H
#define SUPERVISOR_HOST_PRIVILEGES_H

#include <stdbool.h>

#include "request/sandbox_description.h"

/* The kernel uid and gid of a sandboxee when root is the host and names none: the user nobody. */
enum { UNPRIVILEGED_ID = 65534 };

/* Looks once, while the supervisor starts; what it finds does not change. */
void host_privileges_look(void);

/* May make a mount namespace without a user namespace around it (CAP_SYS_ADMIN). */
bool host_can_mount(void);

/* May map another kernel uid and gid than its own for this sandbox (CAP_SETUID, CAP_SETGID, and an id to
 * map). If not, sandboxees keep the host's kernel uid, as those of an ordinary user do. */
bool host_can_map_ids(const struct sandbox_description *description);

#endif
