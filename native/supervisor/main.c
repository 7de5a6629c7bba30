/* The supervisor of one host process. It is started with its control socket on fd 3 and nothing else: no
 * arguments, no environment (with --probe it only reports what this machine allows). It makes sandboxes,
 * watches what runs in them and reports to the host how that ended. When the host ends, the socket ends, and
 * everything ends with it. Runs with the host's uid and privileges, single-threaded, and executes nothing a
 * sandboxee sent. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "control/control.h"
#include "dispatch.h"
#include "entry/host_privileges.h"
#include "entry/inheritance.h"
#include "fork/fork_server.h"
#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "privileges.h"
#include "probe/probe.h"
#include "run/run.h"
#include "sandbox/sandbox.h"

enum { CONTROL_FD = 3 };

/* For what hangs in the kernel when the host has ended; the supervisor's own end is the end of that, too. */
static const uint64_t patience_ns = 1000000000u;

static int fail(const char *what) {
  fprintf(stderr, "sandwire-supervisor: %s: %s\n", what, strerror(errno));
  return 1;
}

/* ---- the end of the host ---- */

static void on_gone(void) {
  if (sandboxes_alive() == 0 && fork_servers_alive() == 0) {
    event_loop_stop();
  }
}

static void on_patience_ended(struct deadline *deadline) {
  (void)deadline;
  event_loop_stop();
}

/* The loop goes on until every child is reaped, so that none is left to the machine's init, which may take
 * its time. */
static void end_everything(void) {
  static struct deadline patience;
  dispatch_forget();
  sandboxes_when_gone(on_gone);
  fork_servers_end(on_gone);
  runs_end();
  sandboxes_close();
  on_gone();
  if (deadline_set(&patience, monotonic_now_ns() + patience_ns, on_patience_ended) != 0) {
    event_loop_stop();
  }
}

/* ---- the start ---- */

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--probe") == 0) {
    return probe_main();
  }
  if (argc == 2 && strcmp(argv[1], "--nothing") == 0) {
    return 0; /* the host runs this in a sandbox to see that sandboxes work */
  }
  /* The host's dispositions and mask are not inherited any further; inheritance_reset_signals() relies on it.
   */
  if (sandwire_reset_signals() != 0) {
    return fail("sigaction");
  }
  if (syscall(SYS_close_range, CONTROL_FD + 1, ~0u, 0) != 0) {
    return fail("close_range (Linux 5.9 is needed)");
  }
  /* Orphans become children of the supervisor, sandboxees that a fork server has forked among them. */
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return fail("PR_SET_CHILD_SUBREAPER");
  }
  host_privileges_look();
  const char *kept = inheritance_renounce();
  if (kept != NULL) {
    return fail(kept);
  }
  /* For its children that only wait, above all inits: keyrings count against a quota of the user
   * (keyrings(7)), and one for each would halve the number of sandboxes that an ordinary user can have at
   * once. If the quota is used up, these children keep the host's keyring. A sandboxee must have one of its
   * own: without it, its run fails. */
  (void)sandwire_leave_keyring();
  signal(SIGPIPE, SIG_IGN); /* a pipe to an init that has died */
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return fail("getrlimit");
  }
  files.rlim_cur = files.rlim_max; /* a few fds a run, and numbers up to 1023 in every launch */
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
    return fail("setrlimit");
  }
  static const struct control_callbacks callbacks = {
      .message = dispatch_message,
      .fd = dispatch_fd,
      .too_long = dispatch_too_long,
      .has_room = runs_on_host_room,
      .closed = end_everything,
  };
  if (event_loop_open() != 0 || control_open(CONTROL_FD, &callbacks) != 0) {
    return fail("epoll on the control socket (fd 3); this program is started by the sandwire host library");
  }
  const int result = event_loop_run() == 0 ? 0 : fail("epoll_wait");
  cgroups_close();
  return result;
}
