/* Memory shared between host and sandboxee: a memfd, passed by sandwire_comms_send_fd(). It is sealed against
 * shrinking, so that reading it never ends in SIGBUS. The other side may write to it at any time: copy what
 * must not change before looking at it. */
#ifndef SANDWIRE_BUFFER_H
#define SANDWIRE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "sandwire/error.h"
#include "sandwire/export.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_buffer;

/* A new buffer of size bytes, zeroed. NULL with errno; EINVAL for size 0 or above what off_t holds. */
SANDWIRE_API struct sandwire_buffer *sandwire_buffer_create(size_t size);
/* The buffer behind an fd that was received, with all of its size at this moment. Owns fd from now on. NULL
 * with errno, and the fd stays the caller's: EPERM if it is not sealed against shrinking or sealed against
 * writing, EINVAL if it is no memfd or empty, EOPNOTSUPP if it is made of huge pages. */
SANDWIRE_API struct sandwire_buffer *sandwire_buffer_from_fd(int fd);
/* Unmaps the memory and closes the fd. NULL is fine. */
SANDWIRE_API void sandwire_buffer_destroy(struct sandwire_buffer *buffer);

SANDWIRE_API uint8_t *sandwire_buffer_data(const struct sandwire_buffer *buffer);
SANDWIRE_API size_t sandwire_buffer_size(const struct sandwire_buffer *buffer); /* bytes */
/* Stays the buffer's. */
SANDWIRE_API int sandwire_buffer_fd(const struct sandwire_buffer *buffer);

/* Makes it at least size bytes large, and maps all of it: pointers from sandwire_buffer_data() before may be
 * stale after. If the other side has made it larger that is taken over, so size 0 means: see what there is.
 * SANDWIRE_OK, TOO_LARGE, or SYSTEM with errno; then nothing has changed here. */
SANDWIRE_API enum sandwire_error sandwire_buffer_expand(struct sandwire_buffer *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
