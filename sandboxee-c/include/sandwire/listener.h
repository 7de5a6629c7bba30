/* Named sockets, for processes that were not given a channel: one listens, others connect. An address is a
 * path, or "@name" in the abstract namespace of Linux, which has no file and ends with the listener. A name
 * is not a secret, and a connection proves nothing: check sandwire_comms_peer_credentials(). */
#ifndef SANDWIRE_LISTENER_H
#define SANDWIRE_LISTENER_H

#include "sandwire/comms.h"
#include "sandwire/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_listener;

/* NULL with errno: EINVAL for an empty address, ENAMETOOLONG, EADDRINUSE (for a path: if any file exists
 * there; nothing is replaced), ENOMEM, or an errno of socket(), bind() or listen(). The file of a path has
 * the permissions that umask() leaves; a process that connects must be allowed to write to it. */
SANDWIRE_API struct sandwire_listener *sandwire_listen(const char *address);

/* The next connection. Waits for timeout_ms milliseconds, or without limit if that is negative. NULL with
 * errno: EAGAIN if none came in time. */
SANDWIRE_API struct sandwire_comms *sandwire_listener_accept(struct sandwire_listener *listener,
                                                             int timeout_ms);

/* The fd, for poll(): it is readable when a connection waits. The listener still owns it. */
SANDWIRE_API int sandwire_listener_fd(const struct sandwire_listener *listener);

/* Closes the listener and removes the file of its path, if that is still its own. Connections go on. NULL is
 * allowed. */
SANDWIRE_API void sandwire_listener_destroy(struct sandwire_listener *listener);

/* Connects to a listener. NULL with errno: ECONNREFUSED or ENOENT if no process listens there, EAGAIN if its
 * queue stayed full for timeout_ms milliseconds (negative: no limit). */
SANDWIRE_API struct sandwire_comms *sandwire_comms_connect(const char *address, int timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
