/* The memfds under buffers: made, judged and grown here, for the library's buffers and for the Node addon's.
 * Runs in host and sandboxee alike; a policy must allow memfd_create, ftruncate and fcntl for making one,
 * fcntl and fstat for judging one. */
#ifndef SANDWIRE_BUFFER_FD_H
#define SANDWIRE_BUFFER_FD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As many bytes as off_t and pointer differences can hold. */
extern const size_t sandwire_buffer_fd_greatest;

/* A new memfd (CLOEXEC) of size bytes, sealed against shrinking; or -errno, -EINVAL for size 0 or above what
 * off_t holds. */
int sandwire_buffer_fd_create(size_t size);

/* Whether an fd from elsewhere can be mapped without fear of SIGBUS. 0 with its size in bytes, or -EINVAL: no
 * memfd, or empty; -EPERM: it could shrink under the reader; -EOPNOTSUPP: of huge pages, which may be lacking
 * when they are touched; or what fcntl() or fstat() failed with. */
int sandwire_buffer_fd_measure(int fd, size_t *size);

/* Makes it at least size bytes large; *grown is what it is then, which may be more. 0 or -errno. */
int sandwire_buffer_fd_grow(int fd, size_t size, size_t *grown);

#ifdef __cplusplus
}
#endif
#endif
