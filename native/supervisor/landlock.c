#include "landlock.h"

#include <stddef.h>
#include <unistd.h>

/* linux/landlock.h and the syscall table; the same on all architectures. */
enum { SYSCALL_CREATE_RULESET = 444, CREATE_RULESET_VERSION = 1 };

int landlock_abi(void) {
  return (int)syscall(SYSCALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
}
