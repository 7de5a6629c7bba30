#include "maker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_power.h"
#include "init.h"
#include "mounts.h"
#include "privileges.h"
#include "sandwire/wire.generated.h"

/* Runs with the host's privileges: writes one line into /proc/<pid>/<name>. */
static void write_proc_file(struct setup_report *report, pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
    int error = errno;
    char detail[128];
    snprintf(detail, sizeof(detail), "%s: %s", path, text);
    errno = error;
    setup_fail(report, SANDWIRE_STEP_ID_MAP, detail);
  }
  close(fd);
}

static void write_id_maps(const struct sandbox_description *description, struct setup_report *report, pid_t init) {
  char line[64];
  const bool can_map = host_can_map_ids(description);
  uid_t uid = description->outside_uid_set ? description->outside_uid : can_map ? UNPRIVILEGED_ID : geteuid();
  gid_t gid = description->outside_gid_set ? description->outside_gid : can_map ? UNPRIVILEGED_ID : getegid();
  if (!can_map) {
    /* Without privilege a gid map may only be written once setgroups is given up (user_namespaces(7)). */
    write_proc_file(report, init, "setgroups", "deny");
  }
  snprintf(line, sizeof(line), "%d %u 1", SANDWIRE_INSIDE_ID, (unsigned)uid);
  write_proc_file(report, init, "uid_map", line);
  snprintf(line, sizeof(line), "%d %u 1", SANDWIRE_INSIDE_ID, (unsigned)gid);
  write_proc_file(report, init, "gid_map", line);
}

_Noreturn void maker_main(struct sandbox_description *description, struct source_identity *identities,
                          struct setup_report *report, int ready_fd, pid_t supervisor) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_FORK, "PR_SET_PDEATHSIG");
  }
  if (getppid() != supervisor) {
    _exit(SETUP_EXIT_CODE); /* it died before the line above, and nobody is left to tell */
  }
  if (host_can_mount() && !description->landlock_only) {
    /* With all of root's powers still there: a source may lie below directories that only root can pass, or that
     * belong to others. An ordinary user has no such power, and opens the sources from within. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
      setup_fail(report, SANDWIRE_STEP_NAMESPACES, "mount namespace");
    }
    mounts_open_sources(description, identities, report);
  }

  int go[2]; /* closing it tells init that its ids are mapped */
  if (pipe2(go, O_CLOEXEC) != 0) {
    setup_fail(report, SANDWIRE_STEP_FORK, "pipe");
  }
  unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (!description->unrestricted_networking) {
    flags |= CLONE_NEWNET;
  }
  /* CLONE_PARENT makes init the supervisor's own child, so that its parent-death signal is tied to the supervisor
   * and not to this process. By number, without a new stack: as fork, in a single-threaded process. */
  long init = syscall(SYS_clone, flags | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (init < 0) {
    setup_fail(report, SANDWIRE_STEP_NAMESPACES, "user, mount, pid, net, ipc, uts and cgroup namespaces");
  }
  if (init == 0) {
    close(go[1]);
    init_main(description, identities, report, go[0], ready_fd);
  }
  report->child_pid = (pid_t)init; /* first, so that the supervisor can reap it whatever happens next */
  write_id_maps(description, report, (pid_t)init);
  if (write(go[1], "g", 1) != 1) {
    setup_fail(report, SANDWIRE_STEP_INIT, "init ended early");
  }
  _exit(0);
}
