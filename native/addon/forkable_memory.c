#include "forkable_memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Above every address a program can have (unless it asks for 52 bits by a hint, which V8 does not). */
static const uintptr_t top = (uintptr_t)1 << 48;

/* Over a range with gaps madvise() does its work and then returns ENOMEM (mm/madvise.c: unmapped ranges are
 * skipped). With EINVAL it stops at a mapping that cannot be copied. */
static bool advise(uintptr_t from, uintptr_t to) {
  return from == to || madvise((void *)from, to - from, MADV_DOFORK) == 0 || errno == ENOMEM;
}

static int learn(struct forkable_memory *memory) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) {
    return errno;
  }
  char *line = NULL;
  size_t capacity = 0;
  uintptr_t from = 0;
  memory->count = 0;
  bool fits = true;
  while (getline(&line, &capacity, maps) > 0) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx", &start, &end) != 2 || advise(start, end)) {
      continue;
    }
    fits = fits && memory->count + 1 < FORKABLE_MEMORY_STRETCHES;
    if (fits) {
      memory->stretches[memory->count].from = from;
      memory->stretches[memory->count++].to = start;
      from = end;
    }
  }
  const int error = ferror(maps) ? EIO : 0;
  free(line);
  fclose(maps);
  if (!fits || error != 0) {
    memory->count = 0; /* the slow way every time */
  } else if (from < top) {
    memory->stretches[memory->count].from = from;
    memory->stretches[memory->count++].to = top;
  }
  return error;
}

int forkable_memory_apply(struct forkable_memory *memory) {
  for (size_t i = 0; i < memory->count; i++) {
    if (!advise(memory->stretches[i].from, memory->stretches[i].to)) {
      return learn(memory);
    }
  }
  return memory->count == 0 ? learn(memory) : 0;
}
