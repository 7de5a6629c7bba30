/* Times, on the monotonic clock, at which a function is to be called: a binary heap of objects that embed
 * their deadline. Runs in the supervisor. */
#ifndef SUPERVISOR_DEADLINES_H
#define SUPERVISOR_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

struct deadline {
  uint64_t at_ns;
  size_t place; /* in the heap, counted from 1; 0: not set */
  void (*due)(struct deadline *deadline);
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t monotonic_now_ns(void);

/* Sets or moves it. 0, or -1 with errno ENOMEM. */
int deadline_set(struct deadline *deadline, uint64_t at_ns, void (*due)(struct deadline *));
void deadline_clear(struct deadline *deadline);

/* For epoll_wait: -1 when there is none, 0 when one is due; rounded up, so that it is due when the wait ends.
 */
int deadlines_timeout_ms(void);
void deadlines_run_due(void);

#endif
