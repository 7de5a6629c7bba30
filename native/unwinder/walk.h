/* From frame to frame. Runs in the jail. */
#ifndef UNWINDER_WALK_H
#define UNWINDER_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "registers.h"
#include "target.h"

enum { MAX_FRAMES = 200, FRAME_NAME_SIZE = 400 };

struct frame {
  uint64_t pc;
  uint64_t lookup; /* within the call, if pc is after it */
  struct image *image;
  unsigned repeated;            /* how often it is repeated: recursion */
  uint64_t symbol, symbol_rank; /* the best symbol so far: its value and its rank; rank 0: none */
  char name[FRAME_NAME_SIZE];
};

enum walk_end {
  WALK_WHOLE,
  WALK_LOST, /* the caller of the last frame is unknown */
  WALK_LONG, /* it has more frames than are reported */
  WALK_TIMEOUT,
};

/* Fills frames, of which there are MAX_FRAMES; count is at least 1. */
enum walk_end walk(struct registers registers, struct frame *frames, size_t *count);

#endif
