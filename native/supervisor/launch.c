#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entrance.h"
#include "filter.h"
#include "host_power.h"
#include "landlock.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

/* The first number above all that a sandboxee's fds can be mapped to. */
enum { ABOVE_TARGETS = SANDWIRE_COMMS_FD + 1 };

/* Puts every fd in its place and closes the rest. Sources may sit on each other's targets, so all are first lifted
 * above them. */
static void arrange_fds(const struct start_request *request, struct setup_report *report, int rendezvous_fd) {
  int lifted[MAX_RUN_FDS];
  int lifted_rendezvous = fcntl(rendezvous_fd, F_DUPFD, ABOVE_TARGETS);
  bool ok = lifted_rendezvous >= 0;
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
      dup3(lifted_rendezvous, SANDWIRE_RENDEZVOUS_FD, rendezvous_flags) < 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "no room for file descriptors up to 1023 (ulimit -n)");
  }
  if (sandwire_close_all_fds_but(request->sorted_targets, request->sorted_count) != 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "close_range");
  }
}

static void set_limits(const struct start_request *request, struct setup_report *report) {
  for (size_t i = 0; i < LIMIT_KINDS; i++) {
    if (!request->limits[i].set) {
      continue;
    }
    /* Never above what the host itself may use: only the privileged can raise a hard limit, and nobody should. */
    struct rlimit present;
    rlim_t value = request->limits[i].value;
    if (getrlimit(start_request_limits[i].resource, &present) == 0 && present.rlim_max < value) {
      value = present.rlim_max;
    }
    struct rlimit limit = {value, value};
    if (setrlimit(start_request_limits[i].resource, &limit) != 0) {
      setup_fail(report, SANDWIRE_STEP_LIMITS, start_request_limits[i].name);
    }
  }
}

/* Opens what the rules are about, as long as nothing keeps us from it: limits, or another user's directories. */
static int prepare_fence(const struct start_request *request, const struct sandbox_description *description,
                         struct setup_report *report) {
  if (!request->landlock_fence && !description->landlock_only) {
    return LANDLOCK_NOT_NEEDED;
  }
  const char *object = "";
  int rules =
    landlock_prepare(description, SANDWIRE_EXEC_FD, request->targets + 1, request->fd_count - 1, &object);
  if (rules == -1) {
    setup_fail(report, SANDWIRE_STEP_LANDLOCK, object);
  }
  return rules;
}

/* Past the filter there is no syscall left to end with, and no way to speak but the page. */
_Noreturn static void fail_under_filter(struct setup_report *report, int step, const char *detail) {
  setup_report_failure(report, step, errno, detail);
  for (;;) {
    __builtin_trap();
  }
}

/* In the sandbox, with all capabilities there; becomes the program. */
_Noreturn static void become_sandboxee(const struct start_request *request, struct setup_report *report,
                                       int rendezvous_fd, int cgroup_fd,
                                       const struct sandbox_description *description) {
  if (sandwire_leave_session() != 0 || sandwire_reset_signals() != 0) {
    setup_fail(report, SANDWIRE_STEP_SESSION, "session, keyring and signals");
  }
  /* First, so that all it uses counts. */
  if (cgroup_fd >= 0 && write(cgroup_fd, "0", 1) != 1) {
    setup_fail(report, SANDWIRE_STEP_CGROUP, "entering it");
  }
  /* And so that it is the top of all it can see. */
  if (cgroup_fd >= 0 && unshare(CLONE_NEWCGROUP) != 0) {
    setup_fail(report, SANDWIRE_STEP_CGROUP, "cgroup namespace");
  }
  umask(022);
  arrange_fds(request, report, rendezvous_fd);
  const int fence = prepare_fence(request, description, report);
  set_limits(request, report);
  if (sandwire_become_inside_user(host_can_map_ids(description)) != 0) {
    setup_fail(report, SANDWIRE_STEP_IDENTITY, "sandboxee");
  }
  if (sandwire_drop_capabilities(-1) != 0) {
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "capabilities");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "no_new_privs");
  }
  if (fence >= 0 && landlock_enforce(fence) != 0) {
    setup_fail(report, SANDWIRE_STEP_LANDLOCK, "restrict_self");
  }
  if (chdir(request->cwd[0] == '\0' ? "/" : request->cwd) != 0) {
    setup_fail(report, SANDWIRE_STEP_CWD, request->cwd);
  }
  if (request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    enum sandwire_filter_step step = SANDWIRE_FILTER_STEP_NONE;
    int result = sandwire_filter_install_announced(SANDWIRE_RENDEZVOUS_FD, request->policy, request->policy_count,
                                                   request->allow_speculation, &step);
    if (result != 0) {
      errno = -result;
      setup_fail(report, SANDWIRE_STEP_FILTER, sandwire_filter_step_name(step));
    }
  }
  /* The sixth argument, which execveat(2) does not have, marks this call for the policy's preamble: it becomes a
   * notification, and the supervisor lets exactly this one through. */
  syscall(SYS_execveat, SANDWIRE_EXEC_FD, "", request->args, request->envs, AT_EMPTY_PATH,
          (unsigned long)SANDWIRE_EXEC_MAGIC);
  if (request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    fail_under_filter(report, SANDWIRE_STEP_EXEC, request->program);
  }
  setup_fail(report, SANDWIRE_STEP_EXEC, request->program);
}

_Noreturn void launch_main(const struct start_request *request, struct setup_report *report,
                           const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd, pid_t supervisor) {
  if (getppid() != supervisor) {
    _exit(SETUP_EXIT_CODE);
  }
  if (!sandbox_is_current(sandbox)) {
    report->is_stale = 1;
    _exit(SETUP_EXIT_CODE);
  }
  int init_pidfd = (int)syscall(SYS_pidfd_open, sandbox_init(sandbox), 0);
  if (init_pidfd < 0) {
    setup_fail(report, SANDWIRE_STEP_ENTER, "pidfd_open");
  }
  pid_t sandboxee = sandwire_enter_sandbox(init_pidfd, sandbox_keeps_network(sandbox));
  if (sandboxee < 0) {
    setup_fail(report, SANDWIRE_STEP_ENTER, "setns and fork");
  }
  if (sandboxee == 0) {
    become_sandboxee(request, report, rendezvous_fd, cgroup_fd, sandbox_describe(sandbox));
  }
  report->child_pid = sandboxee;
  _exit(0);
}
