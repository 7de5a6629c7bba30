#include "attach_joining.h"

#include <unistd.h>

#include "attach.h"
#include "entrance.h"
#include "entry/inheritance.h"
#include "entry/launch.h"
#include "sandwire/wire.generated.h"

_Noreturn void attach_joining_main(const struct start_request *request, struct setup_report *report,
                                   const struct sandbox *sandbox, int rendezvous_fd, int cgroup_fd,
                                   pid_t supervisor) {
  const int init_pidfd = attach_open_init(sandbox, report, supervisor);
  if (inheritance_volunteer_for_oom() != 0) {
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "oom_score_adj");
  }
  pid_t sandboxee = sandwire_enter_sandbox(init_pidfd, sandbox_keeps_network(sandbox));
  if (sandboxee < 0) {
    attach_failed(sandbox, report, "setns and fork");
  }
  if (sandboxee == 0) {
    launch_prepare(report);
    launch_go_on(request, report, rendezvous_fd, cgroup_fd, sandbox_describe(sandbox));
  }
  report->child_pid = sandboxee;
  _exit(0);
}
