/* The only place where bytes and file descriptors pass a socket. Used by the library's comms, by the
 * supervisor and by the Node addon. Async-signal-safe; allocates nothing. */
#ifndef SANDWIRE_SOCKET_IO_H
#define SANDWIRE_SOCKET_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_credentials;

/* As many as one sendmsg() can send (SCM_MAX_FD in the kernel's net/scm.h). */
enum { SANDWIRE_MOST_FDS = 253 };

/* What came beside the bytes: the caller's, whatever the call returns. All CLOEXEC. */
struct sandwire_arrived_fds {
  size_t count;
  int fds[SANDWIRE_MOST_FDS];
};

/* Receives up to size bytes. flags: 0 or MSG_DONTWAIT. Returns the number of bytes, 0 at the end of the
 * stream, or -errno (EINTR never: it is retried; EMFILE: bytes came, and are lost with an fd that this
 * process can have no more of). The fds that arrive belong to the last sendmsg whose bytes are in the buffer:
 * the kernel ends a read there.
 *
 * All that one message can bring is taken, wanted or not. What is not taken the kernel closes before
 * recvmsg() returns, and to close an fd of a hostile sender may take hours: see closer.h. */
ssize_t sandwire_socket_receive(int socket, void *buffer, size_t size, int flags,
                                struct sandwire_arrived_fds *arrived);

/* The same; *credentials are those the kernel attached (the socket has SO_PASSCRED), else uid and gid -1 and
 * pid 0. The kernel ends a read where the writer changes, so they hold for every byte received. */
ssize_t sandwire_socket_receive_credentials(int socket, void *buffer, size_t size, int flags,
                                            struct sandwire_arrived_fds *arrived,
                                            struct sandwire_credentials *credentials);

/* Sends what it can of parts, with MSG_NOSIGNAL; flags: 0 or MSG_DONTWAIT. fd_to_send -1: none; else it goes
 * with the first byte and stays the caller's. Returns the bytes taken (may be fewer than asked) or -errno. */
ssize_t sandwire_socket_send(int socket, const struct iovec *parts, size_t count, int flags, int fd_to_send);

/* Whether nothing waits to be received from it, and so no fd either. Anything but a Unix stream socket is not
 * empty. */
bool sandwire_socket_is_empty(int fd);

/* Has a byte that was sent with MSG_OOB, and the fds that came with it, stay in the stream. Otherwise the
 * kernel drops such a byte within the next recvmsg(), and closes its fds there (manage_oob() in
 * net/unix/af_unix.c). It cannot fail for a socket. */
void sandwire_socket_keep_urgent(int fd);

#ifdef __cplusplus
}
#endif
#endif
