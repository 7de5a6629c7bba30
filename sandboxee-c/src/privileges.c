#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures; many systems' headers are older than the kernels they run on. */
enum { SYSCALL_LANDLOCK_RESTRICT_SELF = 446 };

int sandwire_leave_session(void) {
  return setsid() < 0 ? -1 : sandwire_leave_keyring();
}

int sandwire_leave_keyring(void) {
  /* ENOSYS: the kernel has no keyrings at all, or the container around us hides them. EDQUOT: this user's
   * keys are used up; then the old session keyring must go another way, so it is an error. */
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS && errno != EPERM) {
    return -1;
  }
  return 0;
}

int sandwire_leave_memory_merging(void) {
  enum { SET_MEMORY_MERGE = 67 }; /* PR_SET_MEMORY_MERGE, linux/prctl.h since 6.4 */
  return prctl(SET_MEMORY_MERGE, 0, 0, 0, 0) != 0 && errno != EINVAL ? -1 : 0; /* EINVAL: no KSM */
}

int sandwire_reset_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = SIG_DFL;
  for (int signal_number = 1; signal_number <= SIGRTMAX; signal_number++) {
    /* EINVAL: SIGKILL, SIGSTOP and the C library's own two. Those are at their default after fork anyway. */
    if (sigaction(signal_number, &action, NULL) != 0 && errno != EINVAL) {
      return -1;
    }
  }
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, NULL);
}

int sandwire_become_inside_user(bool drop_groups) {
  /* By syscall: the C library's wrappers would pass the change on to other threads, and there are none. */
  if (drop_groups && syscall(SYS_setgroups, 0, NULL) != 0) {
    return -1;
  }
  if (syscall(SYS_setresgid, SANDWIRE_INSIDE_ID, SANDWIRE_INSIDE_ID, SANDWIRE_INSIDE_ID) != 0 ||
      syscall(SYS_setresuid, SANDWIRE_INSIDE_ID, SANDWIRE_INSIDE_ID, SANDWIRE_INSIDE_ID) != 0) {
    return -1;
  }
  /* A change of ids makes a process undumpable (commit_creds() in the kernel's cred.c), and then only real
   * root could watch it. Those who may read it have to be kept out by other means; see the callers. */
  return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

int sandwire_drop_bounding_set(void) {
  for (int capability = 0; capability < 64; capability++) {
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) {
        break; /* past the last one this kernel knows */
      }
      return -1;
    }
  }
  return 0;
}

int sandwire_clear_capabilities(int keep) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return -1;
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  memset(data, 0, sizeof(data));
  if (keep >= 0) {
    data[keep / 32].permitted = 1u << (keep % 32);
  }
  return (int)syscall(SYS_capset, &header, data);
}

int sandwire_become_unprivileged(bool drop_groups, int landlock_rules, enum sandwire_setup_step *step) {
  *step = SANDWIRE_STEP_IDENTITY;
  if (sandwire_become_inside_user(drop_groups) != 0) {
    return -1;
  }
  *step = SANDWIRE_STEP_PRIVILEGES;
  if (sandwire_clear_capabilities(-1) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return -1;
  }
  *step = SANDWIRE_STEP_LANDLOCK;
  if (landlock_rules >= 0 &&
      (syscall(SYSCALL_LANDLOCK_RESTRICT_SELF, landlock_rules, 0) != 0 || close(landlock_rules) != 0)) {
    return -1;
  }
  return 0;
}

int sandwire_join_cgroup(int procs_fd) {
  return write(procs_fd, "0", 1) == 1 && unshare(CLONE_NEWCGROUP) == 0 ? 0 : -1;
}

int sandwire_close_all_fds_but(const int *keep, size_t count) {
  unsigned from = 0;
  for (size_t i = 0; i < count; i++) {
    unsigned kept = (unsigned)keep[i];
    if (kept > from && syscall(SYS_close_range, from, kept - 1, 0) != 0) {
      return -1;
    }
    from = kept + 1;
  }
  return syscall(SYS_close_range, from, UINT_MAX, 0) == 0 ? 0 : -1;
}
