/* The only place where bytes and file descriptors pass a socket. Used by the library's comms, by the
 * supervisor and by the Node addon. Async-signal-safe; allocates nothing. */
#ifndef SANDWIRE_SOCKET_IO_H
#define SANDWIRE_SOCKET_IO_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* More than one fd came with the bytes; all that arrived were closed. */
#define SANDWIRE_IO_SURPLUS_FD (-100000)

struct sandwire_credentials;

/* Receives up to size bytes. flags: 0 or MSG_DONTWAIT. Returns the number of bytes, 0 at the end of the
 * stream, -errno (EINTR never: it is retried; EMFILE: bytes came, and are lost with an fd that this process
 * can have no more of), or SANDWIRE_IO_SURPLUS_FD. *received_fd becomes the one fd
 * that came with the bytes (CLOEXEC, now the caller's) or -1. The fd belongs to the last sendmsg whose bytes
 * are in the buffer: the kernel ends a read there. */
ssize_t sandwire_socket_receive(int socket, void *buffer, size_t size, int flags, int *received_fd);

/* The same; *credentials are those the kernel attached (the socket has SO_PASSCRED), else uid and gid -1 and
 * pid 0. The kernel ends a read where the writer changes, so they hold for every byte received. */
ssize_t sandwire_socket_receive_credentials(int socket, void *buffer, size_t size, int flags,
                                            int *received_fd, struct sandwire_credentials *credentials);

/* Sends what it can of parts, with MSG_NOSIGNAL; flags: 0 or MSG_DONTWAIT. fd_to_send -1: none; else it goes
 * with the first byte and stays the caller's. Returns the bytes taken (may be fewer than asked) or -errno. */
ssize_t sandwire_socket_send(int socket, const struct iovec *parts, size_t count, int flags, int fd_to_send);

#ifdef __cplusplus
}
#endif
#endif
