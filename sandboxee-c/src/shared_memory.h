/* Memory that a fork does not part: what one process writes there all others see. */
#ifndef SANDWIRE_SHARED_MEMORY_H
#define SANDWIRE_SHARED_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Looks for mappings of this process that are shared and writable (mmap(2), MAP_SHARED). 0: there is none; 1:
 * there is one, and name says what is mapped there; -1 with errno: /proc/self/maps cannot be read. */
int sandwire_find_shared_memory(char *name, size_t size);

#ifdef __cplusplus
}
#endif
#endif
