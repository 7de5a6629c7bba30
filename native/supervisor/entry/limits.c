#include "limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "landlock.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

/* The first number above all that a sandboxee's fds can be mapped to. */
enum { ABOVE_TARGETS = SANDWIRE_COMMS_FD + 1 };

int arrange_entrance(const struct sandbox *sandbox, struct setup_report *report, pid_t supervisor) {
  if (getppid() != supervisor) {
    _exit(SETUP_EXIT_CODE);
  }
  if (!sandbox_is_current(sandbox)) {
    report->is_stale = 1;
    _exit(SETUP_EXIT_CODE);
  }
  int init_pidfd = (int)syscall(SYS_pidfd_open, sandbox_init(sandbox), 0);
  if (init_pidfd < 0) {
    arrange_entrance_failed(sandbox, report, "pidfd_open");
  }
  return init_pidfd;
}

_Noreturn void arrange_entrance_failed(const struct sandbox *sandbox, struct setup_report *report,
                                       const char *detail) {
  /* ENOMEM: what fork() says in a pid namespace whose init is gone (pid_namespaces(7)). */
  if ((errno == ESRCH || errno == ENOMEM) && sandbox_was_made_ahead(sandbox)) {
    report->is_stale = 1;
    _exit(SETUP_EXIT_CODE);
  }
  setup_fail(report, SANDWIRE_STEP_ENTER, detail);
}

/* Sources may sit on each other's targets, so all are first lifted above them. */
void arrange_fds(const struct start_request *request, int rendezvous_fd, struct setup_report *report) {
  int lifted[SANDWIRE_MAX_LAUNCH_FDS];
  int lifted_rendezvous = rendezvous_fd < 0 ? -1 : fcntl(rendezvous_fd, F_DUPFD, ABOVE_TARGETS);
  bool ok = rendezvous_fd < 0 || lifted_rendezvous >= 0;
  for (size_t i = 0; ok && i < request->fd_count; i++) {
    lifted[i] = fcntl(request->fds[i], F_DUPFD, ABOVE_TARGETS);
    ok = lifted[i] >= 0;
  }
  for (size_t i = 1; ok && i < request->fd_count; i++) {
    ok = dup2(lifted[i], request->targets[i]) >= 0;
  }
  /* Before exec the rendezvous ends with the filter at the latest; sandboxMeHere needs it in the program. */
  int rendezvous_flags = request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC ? O_CLOEXEC : 0;
  if (!ok || dup3(lifted[0], SANDWIRE_EXEC_FD, O_CLOEXEC) < 0 ||
      (rendezvous_fd >= 0 && dup3(lifted_rendezvous, SANDWIRE_RENDEZVOUS_FD, rendezvous_flags) < 0)) {
    setup_fail(report, SANDWIRE_STEP_FDS, "no room for file descriptors up to 1023 (ulimit -n)");
  }
  if (sandwire_close_all_fds_but(request->sorted_targets, request->sorted_count) != 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "close_range");
  }
}

/* What a limit of core files is set to. 0 keeps the kernel from writing a file, and not from starting a
 * core_pattern program as root, outside of every sandbox, and feeding it the sandboxee's memory. 1 does
 * (coredump_pipe() in the kernel's fs/coredump.c), and is less than any file (min_coredump). */
static rlim_t core_limit(uint64_t asked) {
  return asked == 0 ? 1 : asked;
}

int arrange_limits(const struct start_request *request, pid_t pid, const char **name) {
  for (size_t i = 0; i < LIMIT_KINDS; i++) {
    if (!request->limits[i].set) {
      continue;
    }
    const __rlimit_resource_t resource = start_request_limits[i].resource;
    const bool is_core = resource == RLIMIT_CORE;
    *name = start_request_limits[i].name;
    /* Never above what the host itself may use: only the privileged can raise a hard limit, and nobody
     * should. A fork server that has lowered its own limit of core files to 0 is not asked: its child would
     * have that. */
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

bool arrange_core_limit_stands(const struct start_request *request, pid_t pid) {
  const struct limit_request *asked = &request->limits[LIMIT_CORE];
  struct rlimit ours, present;
  if (!asked->set || core_limit(asked->value) > 1) {
    return true; /* there may be core files */
  }
  return getrlimit(RLIMIT_CORE, &ours) == 0 && prlimit(pid, RLIMIT_CORE, NULL, &present) == 0 &&
         (present.rlim_cur == 1 || ours.rlim_max == 0);
}

int arrange_fence(const struct start_request *request, const struct sandbox_description *description,
                  int program, const int *fds, struct setup_report *report) {
  if (!request->landlock_fence && !description->landlock_only) {
    return LANDLOCK_NOT_NEEDED;
  }
  const char *object = "";
  int rules = landlock_prepare(description, program, fds, request->fd_count - 1, &object);
  if (rules == -1) {
    setup_fail(report, SANDWIRE_STEP_LANDLOCK, object);
  }
  return rules;
}
