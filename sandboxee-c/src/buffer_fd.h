/* The memfds of buffers: makes, checks and enlarges them, for the library's buffers and for the Node addon's.
 * Runs in host and sandboxee alike. Making one needs memfd_create, ftruncate and fcntl in the policy,
 * checking one needs fcntl and fstat. */
#ifndef SANDWIRE_BUFFER_FD_H
#define SANDWIRE_BUFFER_FD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The greatest number of bytes that off_t and pointer differences can hold. */
extern const size_t sandwire_buffer_fd_greatest;

/* Makes a memfd (CLOEXEC) of size bytes, sealed against shrinking. Returns it, or -errno: -EINVAL for size 0
 * or more than off_t holds. */
int sandwire_buffer_fd_create(size_t size);

/* Checks that an fd from elsewhere can be mapped without risking SIGBUS. 0 with its size in bytes; or
 * -EINVAL: not a memfd, or empty; -EPERM: it could shrink while it is read; -EOPNOTSUPP: of huge pages, which
 * may be missing when they are touched; or the errno of fcntl() or fstat(). */
int sandwire_buffer_fd_measure(int fd, size_t *size);

/* Makes it at least size bytes large; *grown is its size then, which may be more. 0 or -errno. */
int sandwire_buffer_fd_grow(int fd, size_t size, size_t *grown);

#ifdef __cplusplus
}
#endif
#endif
