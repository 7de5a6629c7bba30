#include "attach.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"

int attach_open_init(const struct sandbox *sandbox, struct setup_report *report, pid_t supervisor) {
  if (getppid() != supervisor) {
    _exit(SETUP_EXIT_CODE);
  }
  if (!sandbox_is_current(sandbox)) {
    report->is_stale = 1;
    _exit(SETUP_EXIT_CODE);
  }
  int init_pidfd = (int)syscall(SYS_pidfd_open, sandbox_init(sandbox), 0);
  if (init_pidfd < 0) {
    attach_failed(sandbox, report, "pidfd_open");
  }
  return init_pidfd;
}

_Noreturn void attach_failed(const struct sandbox *sandbox, struct setup_report *report, const char *detail) {
  /* ENOMEM: from fork() in a pid namespace whose init is gone (pid_namespaces(7)). */
  if ((errno == ESRCH || errno == ENOMEM) && sandbox_is_prewarmed(sandbox)) {
    report->is_stale = 1;
    _exit(SETUP_EXIT_CODE);
  }
  setup_fail(report, SANDWIRE_STEP_ENTER, detail);
}
