/* ring_attack [FILE]: exits with the number of rings that it finds in its memory (attack_rings.h), 99 if it
 * cannot look. With FILE it shows that the attack works, without any sandbox: has a ring, and a child that
 * does this and has ended when the ring is used. Exits with 0 if FILE was made, and not by the child, 1 if
 * not, 100 and the errno if there is no ring to be had. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "attack_rings.h"

static int show(const char *file) {
  (void)snprintf(wanted_file, sizeof wanted_file, "%s", file);
  const int ring = ring_make(&known_ring);
  if (ring < 0) {
    return 100 + errno;
  }
  const size_t size = known_ring.sq.array + known_ring.sq_entries * sizeof(uint32_t);
  const int protection = PROT_READ | PROT_WRITE;
  void *requests = mmap(NULL, 4096, protection, MAP_SHARED, ring, RING_OFFSET_SQES);
  void *rings = mmap(NULL, size, protection, MAP_SHARED, ring, RING_OFFSET_RINGS);
  if (requests == MAP_FAILED || rings == MAP_FAILED) {
    return 100 + errno;
  }
  const pid_t child = fork();
  if (child == 0) {
    _exit(attack_rings() == 2 ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || access(file, F_OK) == 0) {
    return 1;
  }
  (void)syscall(RING_ENTER, ring, 1, 1, RING_ENTER_GETEVENTS, NULL, 0);
  return access(file, F_OK) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    return show(argv[1]);
  }
  const int found = attack_rings();
  return found < 0 ? 99 : found;
}
