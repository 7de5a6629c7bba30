#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandwire/error.h"
#include "socket_io.h"

/* For kernel headers older than the flags (5.7, 5.19). */
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

const char *sandwire_filter_step_name(enum sandwire_filter_step step) {
  switch (step) {
    case SANDWIRE_FILTER_STEP_NONE:
      return "none";
    case SANDWIRE_FILTER_STEP_PROGRAM:
      return "check of the policy's length";
    case SANDWIRE_FILTER_STEP_NO_NEW_PRIVS:
      return "prctl(PR_SET_NO_NEW_PRIVS)";
    case SANDWIRE_FILTER_STEP_KEEPCAPS:
      return "prctl(PR_SET_KEEPCAPS)";
    case SANDWIRE_FILTER_STEP_SPECULATION:
      return "prctl(PR_SET_SPECULATION_CTRL)";
    case SANDWIRE_FILTER_STEP_ANNOUNCE:
      return "announcing the listener";
    case SANDWIRE_FILTER_STEP_SECCOMP:
      return "seccomp(SECCOMP_SET_MODE_FILTER)";
    case SANDWIRE_FILTER_STEP_HELPER:
      return "clone() of the helper";
  }
  return "unknown step";
}

static int fail_step(enum sandwire_filter_step *out, enum sandwire_filter_step step, int error) {
  if (out) {
    *out = step;
  }
  return -error;
}

void sandwire_filter_die(void) {
  for (;;) {
    (void)syscall(SYS_exit_group, 1);
    __builtin_trap(); /* the policy answered exit_group with an errno */
  }
}

static bool is_missing_mitigation(int error) {
  return error == ENXIO || error == ENODEV || error == EINVAL;
}

int sandwire_filter_prepare(bool allow_speculation, enum sandwire_filter_step *step) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return fail_step(step, SANDWIRE_FILTER_STEP_NO_NEW_PRIVS, errno);
  }
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
    return fail_step(step, SANDWIRE_FILTER_STEP_KEEPCAPS, errno);
  }
  static const unsigned long mitigations[] = {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH};
  for (size_t i = 0; !allow_speculation && i < sizeof mitigations / sizeof mitigations[0]; i++) {
    if (prctl(PR_SET_SPECULATION_CTRL, mitigations[i], PR_SPEC_FORCE_DISABLE, 0, 0) == 0 ||
        is_missing_mitigation(errno)) {
      continue;
    }
    /* EPERM also where the state is fixed for the whole machine (spectre_v2_user=on or off, a virtual machine
     * whose CPU offers no control): the kernel then reports a state without PR_SPEC_PRCTL, and there is
     * nothing to switch (Documentation/userspace-api/spec_ctrl.rst). */
    int error = errno;
    int state = prctl(PR_GET_SPECULATION_CTRL, mitigations[i], 0, 0, 0);
    if (error != EPERM || state < 0 || (state & PR_SPEC_PRCTL)) {
      return fail_step(step, SANDWIRE_FILTER_STEP_SPECULATION, error);
    }
  }
  return 0;
}

long sandwire_filter_seccomp(unsigned long flags, bool allow_speculation, const struct sock_filter *program,
                             size_t count) {
  /* The kernel does not write to the program; struct sock_fprog just has no const form. */
  struct sock_fprog fprog = {.len = (unsigned short)count,
                             .filter = (struct sock_filter *)(uintptr_t)program};
  flags |= allow_speculation ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0;
  if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
    /* Signals must not make a stopped syscall start again while the monitor reads it. EINVAL: kernel < 5.19.
     */
    long listener =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &fprog);
    if (listener >= 0 || errno != EINVAL) {
      return listener;
    }
  }
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
}

/* The halves of an argument, on the little-endian machines there are. */
#define LOAD_LOW(argument) \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (argument))
#define LOAD_HIGH(argument) \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (argument) + 4)
#define JUMP_IF(value, if_so, if_not) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, if_so, if_not)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

/* The same on all architectures. */
enum { IO_URING_SETUP = 425, IO_URING_REGISTER = 427 };

/* The number without the bit that those of x32 have. */
#define LOAD_NUMBER                                                      \
  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), \
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~UINT32_C(0x40000000))
/* IO_URING_SETUP, io_uring_enter() and IO_URING_REGISTER; no number is as high as the other one. */
#define REFUSE_IO_URING(is_wanted)                                                      \
  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (is_wanted) ? IO_URING_SETUP : UINT32_MAX, 0, 2), \
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, IO_URING_REGISTER, 1, 0), RETURN(SECCOMP_RET_ERRNO | ENOSYS)

int sandwire_filter_forbid_io_uring(void) {
  static const struct sock_filter program[] = {LOAD_NUMBER, REFUSE_IO_URING(true), RETURN(SECCOMP_RET_ALLOW)};
  /* Speculation is for the policy to decide. */
  return (int)sandwire_filter_seccomp(0, true, program, sizeof program / sizeof program[0]);
}

int sandwire_filter_keep_core_limit(bool forbid_io_uring) {
  const struct sock_filter program[] = {
      LOAD_NUMBER,
      REFUSE_IO_URING(forbid_io_uring),
      JUMP_IF(SYS_setrlimit, 0, 2),
      LOAD_LOW(0), /* the resource */
      JUMP_IF(RLIMIT_CORE, 12, 11),
      JUMP_IF(SYS_prlimit64, 0, 10),
      LOAD_LOW(1), /* the resource */
      JUMP_IF(RLIMIT_CORE, 0, 8),
      LOAD_LOW(2), /* the new limit, if any */
      JUMP_IF(0, 0, 2),
      LOAD_HIGH(2),
      JUMP_IF(0, 4, 0),
      LOAD_LOW(3), /* where the old one is to be written, if anywhere */
      JUMP_IF(0, 0, 4),
      LOAD_HIGH(3),
      JUMP_IF(0, 1, 2),
      RETURN(SECCOMP_RET_ALLOW),
      RETURN(SECCOMP_RET_ERRNO | 0),
      RETURN(SECCOMP_RET_ERRNO | EPERM),
  };
  return (int)sandwire_filter_seccomp(0, true, program, sizeof program / sizeof program[0]);
}

static bool is_installable(size_t count) {
  return count > 0 && count <= SANDWIRE_FILTER_MAX_INSTRUCTIONS;
}

int sandwire_filter_install_announced(int rendezvous_fd, const struct sock_filter *program, size_t count,
                                      bool allow_speculation, enum sandwire_filter_step *step) {
  if (!is_installable(count)) {
    return fail_step(step, SANDWIRE_FILTER_STEP_PROGRAM, EINVAL);
  }
  if (rendezvous_fd != SANDWIRE_RENDEZVOUS_FD) {
    return fail_step(step, SANDWIRE_FILTER_STEP_ANNOUNCE, EBADF);
  }
  int error = sandwire_filter_prepare(allow_speculation, step);
  if (error) {
    return error;
  }
  /* The kernel gives out the lowest free number, so a duplicate made and closed shows where the listener
   * lands. */
  int listener_number = fcntl(rendezvous_fd, F_DUPFD_CLOEXEC, 0);
  if (listener_number < 0 || close(listener_number) != 0) {
    return fail_step(step, SANDWIRE_FILTER_STEP_ANNOUNCE, errno);
  }
  int32_t announcement = listener_number;
  struct iovec part = {.iov_base = &announcement, .iov_len = sizeof announcement};
  ssize_t sent = sandwire_socket_send(rendezvous_fd, &part, 1, 0, -1);
  if (sent != sizeof announcement) {
    return fail_step(step, SANDWIRE_FILTER_STEP_ANNOUNCE, sent < 0 ? (int)-sent : EPIPE);
  }

  long listener = sandwire_filter_seccomp(
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
      allow_speculation, program, count);
  if (listener < 0) {
    return fail_step(step, SANDWIRE_FILTER_STEP_SECCOMP, errno);
  }
  /* In force: from here on there is no way back. Another thread took the number in between: the supervisor
   * would look in the wrong place. */
  if (listener != listener_number || close(rendezvous_fd) != 0) {
    sandwire_filter_die();
  }
  return listener_number;
}

void sandwire_filter_close_listener(int listener) {
  /* The sixth argument, which close_range(2) does not have, marks this call for the policy's preamble: it
   * becomes a notification, and the supervisor lets exactly this one through. */
  if (syscall(SYS_close_range, listener, listener, 0, 0, 0, (unsigned long)SANDWIRE_CLOSE_MAGIC) != 0) {
    sandwire_filter_die();
  }
  /* The mark would otherwise stay in its register, and might be found there by the program's own next call.
   */
  (void)syscall(SANDWIRE_MAGIC_SYSCALL, (unsigned long)SANDWIRE_MAGIC_ARG_DETECT, 0, 0, 0, 0, 0);
}

int sandwire_filter_install_plain(const struct sock_filter *program, size_t count, bool allow_speculation,
                                  enum sandwire_filter_step *step) {
  if (!is_installable(count)) {
    return fail_step(step, SANDWIRE_FILTER_STEP_PROGRAM, EINVAL);
  }
  int error = sandwire_filter_prepare(allow_speculation, step);
  if (error) {
    return error;
  }
  long result = sandwire_filter_seccomp(SECCOMP_FILTER_FLAG_TSYNC, allow_speculation, program, count);
  if (result != 0) {
    /* A positive result is the thread that could not be synchronised; then nothing was installed. */
    return fail_step(step, SANDWIRE_FILTER_STEP_SECCOMP, result > 0 ? ESRCH : errno);
  }
  return 0;
}
