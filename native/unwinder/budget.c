#include "budget.h"

#include <stdint.h>
#include <time.h>

static int64_t end_ns;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock and a valid pointer */
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void budget_begin(unsigned milliseconds) {
  end_ns = now_ns() + (int64_t)milliseconds * 1000000;
}

bool budget_is_used_up(void) {
  return now_ns() >= end_ns;
}
