/* Memory shared between host and sandboxee: a memfd, passed by sandwire_comms_send_fd(). It is sealed against
 * shrinking, so that reading it never ends in SIGBUS. The other side may write to it at any time: if the
 * contents must not change while you use them, copy them first. */
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

/* Makes a buffer of size bytes, zeroed. NULL with errno; EINVAL for size 0 or a size that off_t cannot hold.
 */
SANDWIRE_API struct sandwire_buffer *sandwire_buffer_create(size_t size);
/* The buffer behind a received fd, with all of its size at this moment. It owns fd from now on. NULL with
 * errno, and the caller still owns fd: EPERM if it is not sealed against shrinking or is sealed against
 * writing, EINVAL if it is not a memfd or is empty, EOPNOTSUPP if it is made of huge pages. */
SANDWIRE_API struct sandwire_buffer *sandwire_buffer_from_fd(int fd);
/* Unmaps the memory and closes the fd. NULL is allowed. */
SANDWIRE_API void sandwire_buffer_destroy(struct sandwire_buffer *buffer);

SANDWIRE_API uint8_t *sandwire_buffer_data(const struct sandwire_buffer *buffer);
SANDWIRE_API size_t sandwire_buffer_size(const struct sandwire_buffer *buffer); /* bytes */
/* The buffer still owns it. */
SANDWIRE_API int sandwire_buffer_fd(const struct sandwire_buffer *buffer);

/* Makes it at least size bytes large, and maps all of it: earlier pointers from sandwire_buffer_data() may be
 * invalid afterwards. If the other side has made the buffer larger, that size is used; so size 0 means "its
 * present size". SANDWIRE_OK, TOO_LARGE, or SYSTEM with errno; then nothing has changed here. */
SANDWIRE_API enum sandwire_error sandwire_buffer_expand(struct sandwire_buffer *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
