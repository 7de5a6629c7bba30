#include "init.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entry/host_privileges.h"
#include "entry/inheritance.h"
#include "loopback.h"
#include "mounts.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

/* Init needs one syscall for the rest of its life: the read of an fd that no process can write to. Strict
 * mode allows it, besides write, sigreturn and exit (seccomp(2)). A filter that allows the wait alone would
 * cost the kernel some 50 microseconds for each sandbox. */
_Noreturn static void wait_for_ever(void) {
  uint64_t never;
  const int fd = eventfd(0, EFD_CLOEXEC);
  if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) {
    _exit(SETUP_EXIT_CODE);
  }
  for (;;) {
    (void)!read(fd, &never, sizeof(never)); /* only SIGKILL ends it */
  }
}

/* False if the supervisor died before the parent-death signal was set. getppid() cannot say: every process
 * outside of this pid namespace is 0. A dying process first gives its children to another parent, which is
 * when the signal is sent, and then becomes a zombie, all under one lock of the task list (exit_notify() in
 * kernel/exit.c). setsid(), which every init needs, takes that lock. So if the signal was missed, the zombie
 * can be seen. */
static bool supervisor_lives(int supervisor) {
  struct pollfd end = {.fd = supervisor, .events = POLLIN};
  return poll(&end, 1, 0) == 0;
}

_Noreturn void init_main(struct sandbox_description *description, struct source_identity *identities,
                         struct setup_report *report, int stage1, int supervisor) {
  char byte;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "PR_SET_PDEATHSIG");
  }
  if (read(stage1, &byte, 1) != 1) {
    _exit(SETUP_EXIT_CODE); /* the stage-1 process has failed and reported why */
  }
  if (!description->landlock_only && (!host_can_mount() || !mounts_have_sources(description))) {
    /* What is mounted outside stays outside. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
      setup_fail(report, SANDWIRE_STEP_ROOT, "private propagation");
    }
    mounts_open_sources(description, identities, report);
  }
  /* Before the root is made: its files belong to the user that makes them, and only the mapped user can own
   * files. All capabilities in this user namespace stay, as the user given up was never its root. */
  if (host_can_map_ids(description) && sandwire_become_inside_user(true) != 0) {
    setup_fail(report, SANDWIRE_STEP_IDENTITY, "init");
  }
  if (!description->landlock_only) {
    mounts_make_root(description, report);
  }
  if (description->hostname[0] != '\0' &&
      sethostname(description->hostname, strlen(description->hostname)) != 0) {
    setup_fail(report, SANDWIRE_STEP_HOSTNAME, description->hostname);
  }
  const char *object;
  if (description->network == SANDWIRE_NETWORK_OWN && loopback_bring_up(&object) != 0) {
    setup_fail(report, SANDWIRE_STEP_LOOPBACK, object);
  }
  /* Orphans of the sandbox become our children; ignored, they are reaped by the kernel (wait(2), notes). */
  if (inheritance_reset_signals() != 0 || signal(SIGCHLD, SIG_IGN) == SIG_ERR ||
      prctl(PR_SET_NAME, "sandwire-init", 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "signals");
  }
  /* One capability stays permitted; it is useless here. It makes init's set larger than the empty one of a
   * sandboxee. So the kernel's ptrace check (cap_ptrace_access_check() in commoncap.c) keeps sandboxees,
   * which have init's uid, out of its memory, a copy of the supervisor's. The bounding set stays: only exec
   * looks at it, which strict mode forbids, and to drop it costs a syscall for each capability. */
  if (sandwire_clear_capabilities(CAP_WAKE_ALARM) != 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "capabilities");
  }
  /* Again: dropping ids or capabilities clears it (prctl(2)). The supervisor may have died meanwhile. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "PR_SET_PDEATHSIG");
  }
  if (setsid() < 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "session");
  }
  if (!supervisor_lives(supervisor)) {
    _exit(SETUP_EXIT_CODE); /* there is no process left to report to */
  }
  if (dup2(stage1, 0) < 0 || sandwire_close_all_fds_but((const int[]){0}, 1) != 0) {
    setup_fail(report, SANDWIRE_STEP_INIT, "fds");
  }
  if (write(0, "r", 1) != 1) {
    _exit(SETUP_EXIT_CODE);
  }
  close(0);
  wait_for_ever();
}
