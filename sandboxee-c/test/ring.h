/* Rings of io_uring by syscall. From linux/io_uring.h, where many systems' is too old. */
#ifndef SANDWIRE_TEST_RING_H
#define SANDWIRE_TEST_RING_H

#include <stdint.h>
#include <unistd.h>

enum {
  RING_SETUP = 425,
  RING_ENTER = 426,
  RING_REGISTER = 427,
  RING_SETUP_NO_MMAP = 1 << 14,
  RING_SETUP_REGISTERED_FD_ONLY = 1 << 15,
  RING_ENTER_GETEVENTS = 1,
  RING_OFFSET_RINGS = 0,
  RING_OFFSET_SQES = 0x10000000,
};

struct ring_parameters {
  uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, reserved[3];
  struct {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, reserved;
    uint64_t user_address;
  } sq;
  struct {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, reserved;
    uint64_t user_address;
  } cq;
};

/* An fd, or a number of those that are registered; -1 with errno. */
static inline int ring_make(struct ring_parameters *parameters) {
  return (int)syscall(RING_SETUP, 4, parameters);
}

/* A ring without an fd, in two pages of memory. -1 with errno. */
static inline int ring_make_in(void *memory) {
  struct ring_parameters parameters = {.flags = RING_SETUP_NO_MMAP | RING_SETUP_REGISTERED_FD_ONLY};
  parameters.sq.user_address = (uintptr_t)memory; /* the requests */
  parameters.cq.user_address = (uintptr_t)memory + 4096;
  return ring_make(&parameters);
}

#endif
