#include "detect.h"

#include <errno.h>
#include <unistd.h>

#include "sandwire/client.h"

enum sandwire_sandbox sandwire_detect_sandbox(void) {
  int saved_errno = errno;
  enum sandwire_sandbox sandbox = SANDWIRE_SANDBOX_NONE;
  if (syscall(SANDWIRE_MAGIC_SYSCALL, (unsigned long)SANDWIRE_MAGIC_ARG_DETECT) == -1) {
    if (errno == SANDWIRE_MAGIC_SANDWIRE_ERRNO) {
      sandbox = SANDWIRE_SANDBOX_OURS;
    } else if (errno == SANDWIRE_MAGIC_ERRNO) {
      sandbox = SANDWIRE_SANDBOX_FOREIGN;
    }
  }
  errno = saved_errno;
  return sandbox;
}

bool sandwire_is_sandboxed(void) {
  return sandwire_detect_sandbox() != SANDWIRE_SANDBOX_NONE;
}
