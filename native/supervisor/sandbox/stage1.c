#include "stage1.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "entrance.h"
#include "entry/host_privileges.h"
#include "entry/inheritance.h"
#include "id_map.h"
#include "init.h"
#include "mounts.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"
#include "shared_network.h"
#include "standby.h"

/* Runs with the host's privileges. */
static void write_id_file(struct setup_report *report, pid_t pid, const char *name, const char *text) {
  if (id_map_write(pid, name, text) != 0) {
    int error = errno;
    char detail[128];
    snprintf(detail, sizeof(detail), "/proc/%d/%s: %s", (int)pid, name, text);
    errno = error;
    setup_fail(report, SANDWIRE_STEP_ID_MAP, detail);
  }
}

static void write_id_maps(const struct sandbox_description *description, struct setup_report *report,
                          pid_t init) {
  char line[64];
  const bool can_map = host_can_map_ids(description);
  uid_t uid = description->outside_uid_set ? description->outside_uid : can_map ? UNPRIVILEGED_ID : geteuid();
  gid_t gid = description->outside_gid_set ? description->outside_gid : can_map ? UNPRIVILEGED_ID : getegid();
  if (!can_map) {
    /* Without privilege a gid map may only be written once setgroups is given up (user_namespaces(7)). */
    write_id_file(report, init, "setgroups", "deny");
  }
  snprintf(line, sizeof(line), "%d %u 1", SANDWIRE_INSIDE_ID, (unsigned)uid);
  write_id_file(report, init, "uid_map", line);
  snprintf(line, sizeof(line), "%d %u 1", SANDWIRE_INSIDE_ID, (unsigned)gid);
  write_id_file(report, init, "gid_map", line);
}

/* Like fork() in a single-threaded process, but by number, without a new stack. CLONE_PARENT makes it the
 * supervisor's own child: the supervisor reaps it, and its parent-death signal, if any, is tied to the
 * supervisor and not to this process. Its pid is in the report before it runs (CLONE_PARENT_SETTID): whatever
 * happens next, the supervisor can reap it, and takes it for no orphan. */
static pid_t fork_for_supervisor(unsigned long namespaces, struct setup_report *report) {
  /* The third argument is where the pid goes, on both architectures (clone(2), "C library/kernel
   * differences"). */
  return (pid_t)syscall(SYS_clone, namespaces | CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, 0,
                        &report->child_pid, 0, 0);
}

static void fork_standby(const struct sandbox_description *description, struct stage1_page *page,
                         int socket) {
  const int init_pidfd = (int)syscall(SYS_pidfd_open, page->report.child_pid, 0);
  if (inheritance_volunteer_for_oom() != 0) {
    setup_fail(&page->report, SANDWIRE_STEP_PRIVILEGES, "oom_score_adj");
  }
  struct standby_fds fds = {.socket = socket};
  for (size_t i = 0; i < STANDBY_NULLS;
       i++) { /* each is opened anew: an open file has flags that all its holders share */
    fds.nulls[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fds.nulls[i] < 0) {
      setup_fail(&page->report, SANDWIRE_STEP_FDS, "/dev/null");
    }
  }
  if (init_pidfd < 0 ||
      sandwire_join_sandbox(init_pidfd, description->network == SANDWIRE_NETWORK_HOST) != 0) {
    setup_fail(&page->report, SANDWIRE_STEP_ENTER, "setns");
  }
  const pid_t standby = fork_for_supervisor(0, &page->attach);
  if (standby < 0) {
    setup_fail(&page->report, SANDWIRE_STEP_ENTER, "fork");
  }
  if (standby == 0) {
    standby_main(description, &page->attach, &fds);
  }
}

_Noreturn void stage1_main(struct sandbox_description *description, struct stage1_page *page,
                           bool network_is_shared, int standby_socket, pid_t supervisor) {
  struct setup_report *report = &page->report;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_FORK, "PR_SET_PDEATHSIG");
  }
  const int supervisor_pidfd = (int)syscall(SYS_pidfd_open, supervisor, 0);
  if (getppid() != supervisor) {
    _exit(SETUP_EXIT_CODE); /* it died before the lines above: there is no process left to report to */
  }
  if (supervisor_pidfd < 0) {
    setup_fail(report, SANDWIRE_STEP_FORK, "pidfd_open");
  }
  if (host_can_mount() && !description->landlock_only && mounts_have_sources(description)) {
    /* While this process has all of root's powers: a source may lie below directories that only root can
     * pass, or that belong to others. An ordinary user has no such power, and init opens the sources. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
      setup_fail(report, SANDWIRE_STEP_NAMESPACES, "mount namespace");
    }
    mounts_open_sources(description, page->identities, report);
  }

  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    setup_fail(report, SANDWIRE_STEP_FORK, "socketpair");
  }
  unsigned long flags =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (network_is_shared) {
    if (shared_network_enter(description) != 0) {
      setup_fail(report, SANDWIRE_STEP_NAMESPACES, "the shared network");
    }
  } else if (description->network != SANDWIRE_NETWORK_HOST) {
    flags |= CLONE_NEWNET;
  }
  const pid_t init = fork_for_supervisor(flags, report);
  if (init < 0) {
    setup_fail(report, SANDWIRE_STEP_NAMESPACES, "user, mount, pid, net, ipc, uts and cgroup namespaces");
  }
  if (init == 0) {
    close(pair[0]);
    init_main(description, page->identities, report, pair[1], supervisor_pidfd);
  }
  close(pair[1]);
  write_id_maps(description, report, init);
  char byte;
  if (send(pair[0], "g", 1, MSG_NOSIGNAL) != 1 || read(pair[0], &byte, 1) != 1) {
    setup_fail(report, SANDWIRE_STEP_INIT, "init ended early"); /* unless init has reported why */
  }
  if (standby_socket >= 0) {
    fork_standby(description, page, standby_socket);
  }
  _exit(0);
}
