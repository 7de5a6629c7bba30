#include "walk.h"

#include <string.h>

#include "budget.h"
#include "cfi.h"
#include "image.h"

enum { MAX_STEPS = 1000000, MAX_SIGNAL_FRAMES = 16 };

/* If the innermost function has made no frame, its return address is on top of the stack, or in the link
 * register. That is so where there is no code, after a call of a null pointer, and in the system calls of C
 * libraries (clone() in glibc). */
static bool step_out_of_leaf(struct registers *registers) {
#if defined(__x86_64__)
  uint64_t *stack = &registers->value[REGISTER_STACK], caller;
  if (!target_read(*stack, &caller, sizeof(caller)) || target_image(target_find(caller)) == NULL) {
    return false;
  }
  *stack += sizeof(caller);
#else
  const uint64_t caller = plain_address(registers->value[REGISTER_LINK]);
  if (target_image(target_find(caller)) == NULL) {
    return false;
  }
#endif
  registers->pc = caller;
  return true;
}

/* Without call frame information: uses the chain of frame pointers, if the program keeps one. */
static bool step_by_frame_pointer(struct registers *registers) {
  const uint64_t frame = registers->value[REGISTER_FRAME];
  uint64_t saved[2]; /* the caller's frame pointer, and the return address */
  if (!registers->known[REGISTER_FRAME] || frame % 8 != 0 || frame < registers->value[REGISTER_STACK] ||
      !target_read(frame, saved, sizeof(saved))) {
    return false;
  }
  memset(registers->known, 0, sizeof(registers->known));
  registers->value[REGISTER_FRAME] = saved[0];
  registers->value[REGISTER_STACK] = frame + sizeof(saved);
  registers->known[REGISTER_FRAME] = registers->known[REGISTER_STACK] = true;
  registers->pc = plain_address(saved[1]);
  return true;
}

static bool step(const struct mapping *mapping, uint64_t lookup, bool is_first, struct registers *registers,
                 bool *is_signal, bool *is_outermost) {
  *is_signal = false;
  struct image *image = target_image(mapping);
  if (image != NULL && image->has_bias) {
    switch (cfi_step(image, lookup, registers, is_signal)) {
      case CFI_STEPPED:
        return true;
      case CFI_OUTERMOST:
        *is_outermost = true;
        return false;
      case CFI_NONE:
        break;
    }
  }
  return (is_first && step_out_of_leaf(registers)) || (mapping != NULL && step_by_frame_pointer(registers));
}

enum walk_end walk(struct registers registers, struct frame *frames, size_t *count) {
  *count = 0;
  unsigned signal_frames = 0;
  bool is_call = false; /* pc is a return address */
  for (int steps = 0; steps < MAX_STEPS; steps++) {
    const uint64_t lookup = is_call ? registers.pc - 1 : registers.pc;
    const struct mapping *mapping = target_find(lookup);
    if (steps > 0 && mapping == NULL) {
      return registers.pc == 0 ? WALK_WHOLE : WALK_LOST;
    }
    struct image *image = target_image(mapping);
    if (image != NULL) {
      image_look_at(image, mapping);
    }
    if (*count > 0 && frames[*count - 1].pc == registers.pc) {
      frames[*count - 1].repeated++;
    } else if (*count == MAX_FRAMES) {
      return WALK_LONG;
    } else {
      struct frame *frame = &frames[(*count)++];
      memset(frame, 0, offsetof(struct frame, name) + 1);
      frame->pc = registers.pc;
      frame->lookup = lookup;
      frame->image = image;
    }
    if (steps % 64 == 0 && budget_is_used_up()) {
      return WALK_TIMEOUT;
    }
    const uint64_t stack = registers.value[REGISTER_STACK];
    bool is_signal, is_outermost = false;
    if (!step(mapping, lookup, steps == 0, &registers, &is_signal, &is_outermost)) {
      return is_outermost ? WALK_WHOLE : WALK_LOST;
    }
    /* The stack grows down, so callers are further up; only a signal handler may have a stack of its own. */
    const bool is_further = registers.value[REGISTER_STACK] > stack ||
                            (steps == 0 && registers.value[REGISTER_STACK] == stack); /* a leaf of aarch64 */
    if (!is_further && !(is_signal && signal_frames++ < MAX_SIGNAL_FRAMES)) {
      return WALK_LOST;
    }
    if (is_signal) {
      frames[*count - 1].lookup = frames[*count - 1].pc; /* the trampoline's first byte: it was not called */
    }
    is_call = !is_signal;
  }
  return WALK_LONG;
}
