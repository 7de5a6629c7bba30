#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entrance.h"
#include "fds.h"
#include "filter.h"
#include "host_privileges.h"
#include "inheritance.h"
#include "landlock.h"
#include "limits.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

/* Under the filter there is no syscall left to exit with, and no way to report but the page. */
_Noreturn static void fail_under_filter(struct setup_report *report, int step, const char *detail) {
  setup_report_failure(report, step, errno, detail);
  for (;;) {
    __builtin_trap();
  }
}

/* The program stays within reach as /proc/self/exe, and on the host's mount its owner can change its mode,
 * times and attributes. On the sandbox's own read-only mount no process can. Only if it is the same file:
 * what was opened is what is executed, even if its path names another file now. */
static void take_program_from_inside(const char *path, struct setup_report *report) {
  const int inside = path[0] == '\0' ? -1 : open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (inside < 0) {
    return; /* for example because of a directory on the way */
  }
  struct stat given, shown;
  if (fstat(inside, &shown) == 0 && fstat(SANDWIRE_EXEC_FD, &given) == 0 && shown.st_dev == given.st_dev &&
      shown.st_ino == given.st_ino && dup3(inside, SANDWIRE_EXEC_FD, O_CLOEXEC) < 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "the program's");
  }
  close(inside);
}

void launch_prepare(struct setup_report *report) {
  if (setsid() < 0 || inheritance_reset_signals() != 0) {
    setup_fail(report, SANDWIRE_STEP_SESSION, "session and signals");
  }
  if (sandwire_drop_bounding_set() != 0) {
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "the bounding set");
  }
  umask(022);
}

_Noreturn void launch_go_on(const struct start_request *request, struct setup_report *report,
                            int rendezvous_fd, int cgroup_fd, const struct sandbox_description *description) {
  /* Only now: keys are counted against a quota (keyrings(7)), and many standby processes are never used. */
  if (sandwire_leave_keyring() != 0) {
    setup_fail(report, SANDWIRE_STEP_SESSION, "keyring");
  }
  if (cgroup_fd >= 0 && sandwire_join_cgroup(cgroup_fd) != 0) { /* first, so that all it uses counts */
    setup_fail(report, SANDWIRE_STEP_CGROUP, "entering it");
  }
  fds_put_in_place(request, rendezvous_fd, report);
  take_program_from_inside(request->program_inside, report);
  const int fence = landlock_rules(request, description, SANDWIRE_EXEC_FD, request->targets + 1, report);
  const char *limit = "";
  if (limits_set(request, 0, &limit) != 0) {
    setup_fail(report, SANDWIRE_STEP_LIMITS, limit);
  }
  enum sandwire_setup_step step;
  if (sandwire_become_unprivileged(host_can_map_ids(description), fence, &step) != 0) {
    setup_fail(report, (int)step,
               step == SANDWIRE_STEP_IDENTITY ? "sandboxee" : "capabilities, no_new_privs");
  }
  if (chdir(request->cwd[0] == '\0' ? "/" : request->cwd) != 0) {
    setup_fail(report, SANDWIRE_STEP_CWD, request->cwd);
  }
  if (request->mode == SANDWIRE_SANDBOX_ME_HERE &&
      sandwire_filter_keep_core_limit(request->forbid_io_uring) != 0) {
    setup_fail(report, SANDWIRE_STEP_FILTER, "for the time before the policy");
  }
  if (request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    enum sandwire_filter_step failed = SANDWIRE_FILTER_STEP_NONE;
    const int result = sandwire_filter_install_announced(
        SANDWIRE_RENDEZVOUS_FD, request->policy, request->policy_count, request->allow_speculation, &failed);
    if (result < 0) {
      errno = -result;
      setup_fail(report, SANDWIRE_STEP_FILTER, sandwire_filter_step_name(failed));
    }
  }
  /* The sixth argument, which execveat(2) does not have, marks this call for the policy's preamble: it
   * becomes a notification, and the supervisor lets exactly this one through. */
  syscall(SYS_execveat, SANDWIRE_EXEC_FD, "", request->args, request->envs, AT_EMPTY_PATH,
          (unsigned long)SANDWIRE_EXEC_MAGIC);
  if (request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    fail_under_filter(report, SANDWIRE_STEP_EXEC, request->program);
  }
  setup_fail(report, SANDWIRE_STEP_EXEC, request->program);
}
