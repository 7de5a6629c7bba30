/* Memory that is freed all at once. Runs in the supervisor. */
#ifndef SUPERVISOR_ARENA_H
#define SUPERVISOR_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* An arena begins as NULL. Zeroed, aligned for anything; NULL when there is no memory. */
void *arena_allocate(struct arena_chunk **arena, size_t size);

/* A copy with a NUL behind it; NULL if there is no memory or the bytes hold a NUL of their own. */
char *arena_copy_text(struct arena_chunk **arena, const void *bytes, size_t size);

void arena_free(struct arena_chunk *arena);

#endif
