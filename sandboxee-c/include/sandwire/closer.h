/* Closes the file descriptors that came from a process you do not trust, without waiting.
 *
 * To close the last reference to a file can take as long as whoever made it likes: a TCP socket with
 * SO_LINGER waits for its peer, for hours; a pipe waits for whoever holds its lock, as a splice() from a
 * silent socket into it does; a file of FUSE or NFS waits for its server; gigabytes of a memfd have to be
 * freed. It is not only close() that waits then: munmap() does, dup2() onto such a number, a read() or
 * recvmsg() of a Unix socket that takes a message with an fd and has no room for it, and the close() of such
 * a socket with a message in its queue. In a program that serves others meanwhile a closer does it.
 *
 * What is closed so is closed soon after, in a thread of the closer's. Sockets do not linger there. */
#ifndef SANDWIRE_CLOSER_H
#define SANDWIRE_CLOSER_H

#include "sandwire/buffer.h"
#include "sandwire/comms.h"
#include "sandwire/export.h"
#include "sandwire/listener.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_closer;

/* Make it before you receive anything. It has two threads from the beginning, which block all signals. NULL
 * with errno: ENOMEM, or EAGAIN where the user or the cgroup has as many threads as it may. */
SANDWIRE_API struct sandwire_closer *sandwire_closer_create(void);

/* Never waits; any thread may call it. fd is not the caller's any more. Up to 16 fds may be slow to close at
 * once; more wait open until one of them is done. */
SANDWIRE_API void sandwire_closer_close(struct sandwire_closer *closer, int fd);

/* sandwire_buffer_destroy(), without waiting until its memory is freed. */
SANDWIRE_API void sandwire_closer_destroy_buffer(struct sandwire_closer *closer,
                                                 struct sandwire_buffer *buffer);

/* Does not wait either: what was given to it is still closed, in so far as the process lives. No comms may
 * use it any more. NULL is fine. */
SANDWIRE_API void sandwire_closer_destroy(struct sandwire_closer *closer);

/* From now on fds that arrive unannounced, and in the end the socket of comms, are closed by the closer,
 * which must outlive comms; NULL: by close(). A byte of the peer's that is sent with MSG_OOB becomes part of
 * the stream (SO_OOBINLINE). Fds that were announced are yours, and yours to close. */
SANDWIRE_API void sandwire_comms_set_closer(struct sandwire_comms *comms, struct sandwire_closer *closer);

/* The comms that it accepts from now on use the closer, and so does sandwire_listener_destroy(): its name is
 * free soon after. */
SANDWIRE_API void sandwire_listener_set_closer(struct sandwire_listener *listener,
                                               struct sandwire_closer *closer);

#ifdef __cplusplus
}
#endif
#endif
