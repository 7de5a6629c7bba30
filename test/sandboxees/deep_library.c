/* A function of a shared library, for stacks that pass through one. */
#include <unistd.h>

#include "deep_library.h"

__attribute__((noinline)) int deep_recurse(int depth, int (*then)(void)) {
  volatile int result = depth > 0 ? deep_recurse(depth - 1, then) : then();
  return result + 1;
}
