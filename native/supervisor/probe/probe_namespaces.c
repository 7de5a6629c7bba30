#include "probe_namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/host_privileges.h"
#include "sandbox/id_map.h"

enum {
  EVERYTHING = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
               CLONE_NEWCGROUP
};

int probe_user_namespace(long *value) {
  (void)value;
  return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

static int with_user_namespace(int flag) {
  return unshare(CLONE_NEWUSER | flag) == 0 ? 0 : errno;
}

int probe_mount_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWNS);
}

int probe_pid_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWPID);
}

int probe_network_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWNET);
}

int probe_ipc_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWIPC);
}

int probe_uts_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWUTS);
}

int probe_cgroup_namespace(long *value) {
  (void)value;
  return with_user_namespace(CLONE_NEWCGROUP);
}

static int write_file(pid_t pid, const char *name, const char *text) {
  return id_map_write(pid, name, text) == 0 ? 0 : errno;
}

static int write_maps(pid_t pid) {
  char line[64];
  const struct sandbox_description nobody = {.outside_uid_set = false};
  const bool can_map = host_can_map_ids(&nobody);
  int error = can_map ? 0 : write_file(pid, "setgroups", "deny");
  if (error == 0) {
    snprintf(line, sizeof(line), "1000 %u 1", can_map ? 65534u : (unsigned)geteuid());
    error = write_file(pid, "uid_map", line);
  }
  if (error == 0) {
    snprintf(line, sizeof(line), "1000 %u 1", can_map ? 65534u : (unsigned)getegid());
    error = write_file(pid, "gid_map", line);
  }
  return error;
}

/* Makes the namespaces that a stage-1 process makes, and calls inside() in their first process, or
 * outside(pid) outside of them while that one waits. */
static int with_namespaces(int (*inside)(void), int (*outside)(pid_t)) {
  int go[2], done[2];
  if (pipe2(go, O_CLOEXEC) != 0 || pipe2(done, O_CLOEXEC) != 0) {
    return errno;
  }
  long pid = syscall(SYS_clone, EVERYTHING | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) {
    return errno;
  }
  if (pid == 0) {
    char byte;
    close(go[1]);
    if (read(go[0], &byte, 1) != 1) {
      _exit(1);
    }
    int error = inside == NULL                                                         ? 0
                : setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0 ? errno
                                                                                       : inside();
    if (write(done[1], &error, sizeof(error)) != (ssize_t)sizeof(error)) {
      _exit(1);
    }
    _exit(0);
  }
  close(done[1]);
  int error = write_maps((pid_t)pid);
  if (error == 0 && outside != NULL) {
    error = outside((pid_t)pid);
  }
  if (error == 0 && inside != NULL) {
    if (write(go[1], "g", 1) != 1 || read(done[0], &error, sizeof(error)) != (ssize_t)sizeof(error)) {
      error = EPIPE;
    }
  }
  kill((pid_t)pid, SIGKILL);
  waitpid((pid_t)pid, NULL, 0);
  return error;
}

int probe_id_maps(long *value) {
  (void)value;
  return with_namespaces(NULL, NULL);
}

static int enter(pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  return pidfd >= 0 && setns(pidfd, EVERYTHING) == 0 ? 0 : errno;
}

int probe_enter(long *value) {
  (void)value;
  return with_namespaces(NULL, enter);
}

static int new_mount(const char *type) {
  int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0) {
    return -1;
  }
  return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

static int build_root(void) {
  struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
    return errno;
  }
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  int root = new_mount("tmpfs");
  if (tree < 0 || root < 0 ||
      syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only, sizeof(read_only)) !=
          0 ||
      syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
      mkdirat(root, "tree", 0755) != 0) {
    return errno;
  }
  int target = openat(root, "tree", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target < 0 ||
      syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0 ||
      fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0) {
    return errno;
  }
  return 0;
}

int probe_mounts(long *value) {
  (void)value;
  return with_namespaces(build_root, NULL);
}

static int mount_proc(void) {
  return new_mount("proc") >= 0 ? 0 : errno;
}

int probe_proc_mount(long *value) {
  (void)value;
  return with_namespaces(mount_proc, NULL);
}

static int mount_sysfs(void) {
  return new_mount("sysfs") >= 0 ? 0 : errno;
}

int probe_sysfs_mount(long *value) {
  (void)value;
  return with_namespaces(mount_sysfs, NULL);
}
