/* Memory that a fork does not part: what one process writes there all others see, or the kernel acts on it
 * for the process that made it. */
#ifndef SANDWIRE_SHARED_MEMORY_H
#define SANDWIRE_SHARED_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Looks for mappings of this process that are shared and are, or can be made, writable (mmap(2), MAP_SHARED;
 * mprotect(2)). 0: none; 1: there is one, and name says what is mapped there; -1 with errno: /proc/self/maps
 * cannot be read. */
int sandwire_find_shared_memory(char *name, size_t size);

/* Looks for rings of io_uring, mapped or as a file descriptor: the kernel takes requests out of such memory
 * in the name of the process that made the ring. Returns as above; /proc/self/fd is read as well. */
int sandwire_find_ring(char *name, size_t size);

#ifdef __cplusplus
}
#endif
#endif
