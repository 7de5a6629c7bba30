/* Beyond the public closer.h: for the Node addon. */
#ifndef SANDWIRE_CLOSER_PRIVATE_H
#define SANDWIRE_CLOSER_PRIVATE_H

#include <stdbool.h>

#include "aside.h"
#include "sandwire/closer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whatever else may wait as a close does. */
void sandwire_closer_do(struct sandwire_closer *closer, struct sandwire_aside_job *job);

/* Closes a Unix stream socket, or one that listens, of which there is no duplicate: at once if nothing waits
 * in it. */
void sandwire_closer_close_exclusive(struct sandwire_closer *closer, int fd);

/* Whether to close it may wait for its peer. Does not wait itself. */
bool sandwire_socket_lingers(int fd);

/* Has a socket not linger any more, soon: to say so waits for whoever has the socket locked (lock_sock() in
 * the kernel's sk_setsockopt()). fd stays the caller's. */
void sandwire_closer_unset_linger(struct sandwire_closer *closer, int fd);

#ifdef __cplusplus
}
#endif
#endif
