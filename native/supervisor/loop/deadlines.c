#include "deadlines.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

static struct deadline **heap; /* heap[1] is the earliest; heap[0] is unused */
static size_t heap_size, heap_capacity;

uint64_t monotonic_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock and a valid pointer */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void put(size_t place, struct deadline *deadline) {
  heap[place] = deadline;
  deadline->place = place;
}

static void sift_up(size_t place) {
  struct deadline *moving = heap[place];
  while (place > 1 && heap[place / 2]->at_ns > moving->at_ns) {
    put(place, heap[place / 2]);
    place /= 2;
  }
  put(place, moving);
}

static void sift_down(size_t place) {
  struct deadline *moving = heap[place];
  while (place * 2 <= heap_size) {
    size_t child = place * 2;
    if (child < heap_size && heap[child + 1]->at_ns < heap[child]->at_ns) {
      child++;
    }
    if (heap[child]->at_ns >= moving->at_ns) {
      break;
    }
    put(place, heap[child]);
    place = child;
  }
  put(place, moving);
}

int deadline_set(struct deadline *deadline, uint64_t at_ns, void (*due)(struct deadline *)) {
  deadline_clear(deadline);
  if (heap_size + 1 >= heap_capacity) {
    size_t capacity = heap_capacity == 0 ? 64 : heap_capacity * 2;
    struct deadline **grown = reallocarray(heap, capacity, sizeof(*grown));
    if (grown == NULL) {
      return -1;
    }
    heap = grown;
    heap_capacity = capacity;
  }
  deadline->at_ns = at_ns;
  deadline->due = due;
  heap_size++;
  put(heap_size, deadline);
  sift_up(heap_size);
  return 0;
}

void deadline_clear(struct deadline *deadline) {
  size_t place = deadline->place;
  if (place == 0) {
    return;
  }
  deadline->place = 0;
  struct deadline *last = heap[heap_size];
  heap_size--;
  if (last == deadline) {
    return;
  }
  put(place, last);
  sift_up(place);
  sift_down(last->place);
}

int deadlines_timeout_ms(void) {
  if (heap_size == 0) {
    return -1;
  }
  uint64_t now = monotonic_now_ns();
  if (heap[1]->at_ns <= now) {
    return 0;
  }
  uint64_t ms = (heap[1]->at_ns - now + 999999u) / 1000000u;
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

void deadlines_run_due(void) {
  while (heap_size > 0 && heap[1]->at_ns <= monotonic_now_ns()) {
    struct deadline *deadline = heap[1];
    deadline_clear(deadline);
    deadline->due(deadline);
  }
}
