/* The sandboxee's side of being started: mapped fds, and asking for the policy by sandwire_sandbox_me_here().
 */
#ifndef SANDWIRE_CLIENT_H
#define SANDWIRE_CLIENT_H

#include <stdbool.h>

#include "sandwire/comms.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_client;

/* Takes the fds the host mapped by name from SB2_FD_MAPPINGS ("name,fd,name,fd"), which is removed from the
 * environment. comms stays the caller's and must outlive the client; NULL for a program that has none. NULL
 * with errno: EINVAL if the variable is malformed (an odd count, no number, an fd that is not open, a name
 * twice), or ENOMEM. Makes no syscall a policy would have to allow. */
SANDWIRE_API struct sandwire_client *sandwire_client_create(struct sandwire_comms *comms);
/* Mapped fds stay open. NULL is fine. */
SANDWIRE_API void sandwire_client_destroy(struct sandwire_client *client);

/* The number of the fd mapped under name, or -1. It stays open until the caller closes it. */
SANDWIRE_API int sandwire_client_mapped_fd(const struct sandwire_client *client, const char *name);
SANDWIRE_API bool sandwire_client_has_mapped_fd(const struct sandwire_client *client, const char *name);

/* Asks the host for the policy and puts it in force: on return with SANDWIRE_OK every thread of this process
 * is under it, for good. Maps fds and sets the working directory as the host says. Call it once.
 *
 * An error means that the policy is not in force and that the host was not told otherwise: do not go on as if
 * it were. Once the host has been told that this process is ready nothing can be undone, and a failure ends
 * the process. UNSUPPORTED: the host asks for a thing this version cannot do, as comms in shared memory.
 *
 * With a host that is sandbox2 itself comms speaks read() and write() afterwards; see
 * sandwire_comms_default(). Nothing is allocated or freed between the policy's coming into force and the
 * return. */
SANDWIRE_API enum sandwire_error sandwire_client_sandbox_me_here(struct sandwire_client *client);

/* The same for a program that needs no mapped fds: a client for the length of this call. */
SANDWIRE_API enum sandwire_error sandwire_sandbox_me_here(struct sandwire_comms *comms);

/* Whether a policy of sandwire or sandbox2 is in force for this process. */
SANDWIRE_API bool sandwire_is_sandboxed(void);

#ifdef __cplusplus
}
#endif
#endif
