/* The sandboxee's side of its start: mapped fds, and asking for the policy with sandwire_sandbox_me_here().
 */
#ifndef SANDWIRE_CLIENT_H
#define SANDWIRE_CLIENT_H

#include <stdbool.h>

#include "sandwire/comms.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_client;

/* Takes the fds that the host mapped by name from SB2_FD_MAPPINGS ("name,fd,name,fd"), and removes that from
 * the environment. comms remains the caller's and must outlive the client; NULL for a program that has none.
 * NULL with errno: EINVAL if the variable is malformed (an odd count, not a number, an fd that is not open, a
 * name twice), or ENOMEM. Makes no syscall that a policy would have to allow. */
SANDWIRE_API struct sandwire_client *sandwire_client_create(struct sandwire_comms *comms);
/* Mapped fds stay open. NULL is allowed. */
SANDWIRE_API void sandwire_client_destroy(struct sandwire_client *client);

/* The number of the fd mapped under name, or -1. It stays open until the caller closes it. */
SANDWIRE_API int sandwire_client_mapped_fd(const struct sandwire_client *client, const char *name);
SANDWIRE_API bool sandwire_client_has_mapped_fd(const struct sandwire_client *client, const char *name);

/* Asks the host for the policy and puts it in force: when SANDWIRE_OK is returned, every thread of this
 * process is under it, for good. Maps fds and sets the working directory as the host requests. Call it once.
 *
 * An error means that the policy is not in force and that the host does not believe it is: do not go on as if
 * it were. Once this process has reported that it is ready, nothing can be undone, and a failure ends the
 * process. UNSUPPORTED: the host requests something that this version cannot do, such as comms in shared
 * memory.
 *
 * With a host that is sandbox2 itself comms uses read() and write() afterwards; see sandwire_comms_default().
 * Between the moment when the policy comes into force and the return nothing is allocated or freed. */
SANDWIRE_API enum sandwire_error sandwire_client_sandbox_me_here(struct sandwire_client *client);

/* The same for a program that needs no mapped fds: it uses a client that lives as long as this call. */
SANDWIRE_API enum sandwire_error sandwire_sandbox_me_here(struct sandwire_comms *comms);

/* True if a policy of sandwire or sandbox2 is in force for this process. */
SANDWIRE_API bool sandwire_is_sandboxed(void);

#ifdef __cplusplus
}
#endif
#endif
