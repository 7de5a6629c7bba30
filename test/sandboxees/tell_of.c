/* tell_of PID: no sandboxee; what syscalls tell of another process, a line "name=value" each; "none" for what
 * this kernel does not have, "not ours to know" for what the caller may not ask. */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(const char *name, long result, unsigned long long value) {
  if (result >= 0) {
    printf("%s=%llu\n", name, value);
  } else {
    printf("%s=%s\n", name, errno == EPERM || errno == EACCES ? "not ours to know" : "none");
  }
}

/* linux/sched/types.h, as of Linux 5.3. */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t util_min, util_max;
};

int main(int argc, char **argv) {
  const pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
  enum { IOPRIO_WHO_PROCESS = 1, PR_SCHED_CORE_NUMBER = 62 };
  struct attributes attributes;
  memset(&attributes, 0, sizeof attributes);
  long result = syscall(SYS_sched_getattr, pid, &attributes, sizeof attributes, 0);
  tell("scheduling policy", result, attributes.policy);
  tell("scheduling flags", result, attributes.flags);
  printf("nice=%d\n", attributes.nice);
  tell("real-time priority", result, attributes.priority);
  tell("utilization clamp", result, (unsigned long long)attributes.util_min << 32 | attributes.util_max);
  result = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid);
  tell("I/O priority", result, (unsigned long long)result);
  void *head = NULL;
  size_t size = 0;
  result = syscall(SYS_get_robust_list, pid, &head, &size);
  tell("robust list", result, head != NULL);
  unsigned long long cookie = 0;
  result = prctl(PR_SCHED_CORE_NUMBER, 0 /* GET */, pid, 0, &cookie);
  tell("core scheduling cookie", result, cookie);
  return 0;
}
