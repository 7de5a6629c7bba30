/* A library that attacks the rings of whatever loads it (attack_rings.h), and leaves their number in the
 * environment. */
#include <stdio.h>
#include <stdlib.h>

#include "attack_rings.h"

__attribute__((constructor)) static void attack(void) {
  char number[16];
  (void)snprintf(number, sizeof number, "%d", attack_rings());
  (void)setenv("RINGS_FOUND", number, 1);
}
