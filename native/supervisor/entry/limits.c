#include "limits.h"

#include <stdint.h>
#include <sys/resource.h>

/* What a limit of core files is set to. 0 keeps the kernel from writing a file, and not from starting a
 * core_pattern program as root, outside of every sandbox, and feeding it the sandboxee's memory. 1 does
 * (coredump_pipe() in the kernel's fs/coredump.c), and is less than any file (min_coredump). */
static rlim_t core_limit(uint64_t asked) {
  return asked == 0 ? 1 : asked;
}

int limits_set(const struct start_request *request, pid_t pid, const char **name) {
  for (size_t i = 0; i < request->limit_count; i++) {
    const __rlimit_resource_t resource = request->limits[i].resource;
    const bool is_core = resource == RLIMIT_CORE;
    *name = request->limits[i].words;
    /* Never above what the host itself may use: only a process with privileges can raise a hard limit, and
     * none should. A fork server that has lowered its own limit of core files to 0 is not asked: its child
     * would have that. */
    struct rlimit present;
    rlim_t value = is_core ? core_limit(request->limits[i].value) : request->limits[i].value;
    if (prlimit(is_core ? 0 : pid, resource, NULL, &present) == 0 && present.rlim_max < value) {
      value = present.rlim_max;
    }
    struct rlimit limit = {value, value};
    if (prlimit(pid, resource, &limit, NULL) != 0) {
      return -1;
    }
  }
  return 0;
}

bool limits_core_stands(const struct start_request *request, pid_t pid) {
  const struct limit_request *asked = start_request_limit(request, RLIMIT_CORE);
  struct rlimit ours, present;
  if (asked == NULL || core_limit(asked->value) > 1) {
    return true; /* there may be core files */
  }
  return getrlimit(RLIMIT_CORE, &ours) == 0 && prlimit(pid, RLIMIT_CORE, NULL, &present) == 0 &&
         (present.rlim_cur == 1 || ours.rlim_max == 0);
}
