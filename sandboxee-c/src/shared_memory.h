/* Memory that a fork does not part: what one process writes there all others see, or a device or the kernel
 * acts on it, for the process that made it. */
#ifndef SANDWIRE_SHARED_MEMORY_H
#define SANDWIRE_SHARED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sandwire_shared_kind {
  SANDWIRE_SHARED_NOTHING,
  SANDWIRE_SHARED_MEMORY, /* and no more than that: a file, a memfd, anonymous or System V memory */
  SANDWIRE_SHARED_DEVICE, /* anything else: a ring of io_uring, AIO or a socket, a device, a program of BPF */
};

/* Looks for mappings of this process that are shared (mmap(2), MAP_SHARED) and are writable, or can be made
 * so (mprotect(2)). One of SANDWIRE_SHARED_DEVICE is looked for first to last; one of SANDWIRE_SHARED_MEMORY
 * too, unless memory_is_fine. name says what is mapped there. -1 with errno: /proc/self/maps cannot be read.
 */
int sandwire_find_shared_memory(bool memory_is_fine, char *name, size_t size);

/* Whether this thread has a ring of io_uring without an fd (IORING_SETUP_REGISTERED_FD_ONLY), whose memory
 * may be any (IORING_SETUP_NO_MMAP). */
bool sandwire_has_registered_ring(void);

#ifdef __cplusplus
}
#endif
#endif
