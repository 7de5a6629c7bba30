/* Sockets with a name, by which processes find each other that were not handed a socket. Below the library's
 * listener and the Node addon's. Runs with the privileges of whoever calls; never raises a signal. */
#ifndef SANDWIRE_NAMED_SOCKET_H
#define SANDWIRE_NAMED_SOCKET_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* address: "@name" in the abstract namespace (unix(7)), else a path. All sockets are CLOEXEC streams. */

/* The listening socket, or -errno (EINVAL: empty, ENAMETOOLONG, EADDRINUSE …). *inode becomes that of the
 * file a path was bound to, else 0. */
int sandwire_named_socket_listen(const char *address, ino_t *inode);

/* Removes the file of a path if it still is the one with this inode. inode 0: does nothing. */
void sandwire_named_socket_remove(const char *address, ino_t inode);

/* The next connection, or -errno; -EAGAIN if none came in time. timeout_ms < 0: no limit, 0: does not wait.
 */
int sandwire_named_socket_accept(int listening, int timeout_ms);

/* A connected socket, or -errno; -EAGAIN if the listener's queue stayed full. timeout_ms as above. */
int sandwire_named_socket_connect(const char *address, int timeout_ms);

/* The same with a socket that exists; returns it, or closes it. */
int sandwire_named_socket_connect_by(int fd, const char *address, int timeout_ms);

#ifdef __cplusplus
}
#endif
#endif
