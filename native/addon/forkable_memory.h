/* Gives a child of fork() all of this process's memory. V8 keeps its heap out of children (MADV_DONTFORK,
 * madvise(2)), because it expects none that goes on running JavaScript. Runs in a Node fork server,
 * unsandboxed. */
#ifndef SANDWIRE_ADDON_FORKABLE_MEMORY_H
#define SANDWIRE_ADDON_FORKABLE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { FORKABLE_MEMORY_STRETCHES = 16 };

/* What was learned about the address space: between the mappings that the kernel cannot copy ([vvar] and the
 * like, which do not move) each stretch can be advised in one call, whatever has been mapped in it meanwhile.
 * Zeroed before its first use. */
struct forkable_memory {
  struct {
    uintptr_t from, to;
  } stretches[FORKABLE_MEMORY_STRETCHES];
  size_t count;
};

/* 0, or an errno: why /proc/self/maps cannot be read. */
int forkable_memory_apply(struct forkable_memory *memory);

#endif
