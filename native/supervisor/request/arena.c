#include "arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_chunk {
  struct arena_chunk *next;
  size_t used, size;
  _Alignas(16) unsigned char bytes[];
};

enum { CHUNK_SIZE = 8192 };

void *arena_allocate(struct arena_chunk **arena, size_t size) {
  size = (size + 15) & ~(size_t)15;
  struct arena_chunk *chunk = *arena;
  if (chunk == NULL || chunk->size - chunk->used < size) {
    size_t chunk_size = size > CHUNK_SIZE ? size : CHUNK_SIZE;
    chunk = malloc(sizeof(*chunk) + chunk_size);
    if (chunk == NULL) {
      return NULL;
    }
    chunk->next = *arena;
    chunk->used = 0;
    chunk->size = chunk_size;
    *arena = chunk;
  }
  void *result = chunk->bytes + chunk->used;
  chunk->used += size;
  memset(result, 0, size);
  return result;
}

char *arena_copy_text(struct arena_chunk **arena, const void *bytes, size_t size) {
  if (size > 0 && memchr(bytes, 0, size) != NULL) {
    return NULL;
  }
  char *copy = arena_allocate(arena, size + 1);
  if (copy != NULL && size > 0) {
    memcpy(copy, bytes, size);
  }
  return copy;
}

void arena_free(struct arena_chunk *arena) {
  while (arena != NULL) {
    struct arena_chunk *next = arena->next;
    free(arena);
    arena = next;
  }
}
