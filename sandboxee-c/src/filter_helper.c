/* The unotify form of sandbox2. Its host wants the seccomp listener in an Fd message. But once the policy is
 * in force, the process that has the listener cannot make a single syscall: each could be a notification, and
 * no process can answer before the host has the listener. So an unfiltered helper sends it.
 *
 * The helper is a process of its own that shares memory and fds. It is not a thread, because the policy is
 * installed for all threads of this process at once (TSYNC), and the helper must stay out. It exists only
 * until the host has sent "limits applied", and this process goes on only when the kernel reports that the
 * helper has ended. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "sandwire/comms.h"

#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif

enum { STACK_SIZE = 64 * 1024 };
enum { LISTENER_PENDING = -1, LISTENER_FAILED = -2 };
enum outcome { OUTCOME_PENDING, OUTCOME_WATCHED, OUTCOME_FAILED };

struct helper {
  struct sandwire_comms *comms;
  pid_t caller;
  atomic_int listener;
  atomic_int outcome;
  /* The kernel zeroes it when the helper no longer uses this memory (CLONE_CHILD_CLEARTID). */
  _Atomic pid_t alive;
};

/* A process is put under a policy only once, so one stack is enough; static, because nothing could unmap it
 * afterwards. */
static _Alignas(16) uint8_t helper_stack[STACK_SIZE];

static enum outcome hand_over(struct helper *helper) {
  int listener;
  while ((listener = atomic_load(&helper->listener)) == LISTENER_PENDING) {
    (void)sched_yield(); /* for the time of one seccomp() */
  }
  if (listener == LISTENER_FAILED) {
    return OUTCOME_FAILED;
  }
  uint32_t word = 0;
  enum sandwire_error error = sandwire_comms_send_fd(helper->comms, listener);
  if (close(listener) != 0 || error != SANDWIRE_OK) {
    return OUTCOME_FAILED;
  }
  error = sandwire_comms_recv_uint32(helper->comms, &word);
  return error == SANDWIRE_OK && word == SANDWIRE_LIMITS_APPLIED ? OUTCOME_WATCHED : OUTCOME_FAILED;
}

static int run_helper(void *argument) {
  struct helper *helper = argument;
  enum outcome outcome = OUTCOME_FAILED;
  /* The helper must not run the caller's signal handlers: they would run twice, in the same memory. */
  sigset_t all;
  (void)sigfillset(&all);
  (void)sigprocmask(SIG_SETMASK, &all, NULL); /* cannot fail */
  /* It must not survive if the caller is killed, even at this instant. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == helper->caller) {
    outcome = hand_over(helper);
  }
  atomic_store(&helper->outcome, outcome);
  (void)syscall(SYS_exit, 0);
  __builtin_trap();
}

/* Waits without a syscall. Nothing better is possible under a policy that allows none, and only a foreign
 * host makes this necessary: with a sandwire host the process waits inside the magic syscall. */
static void spin_until_helper_is_gone(struct helper *helper) {
  while (atomic_load(&helper->alive) != 0) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }
}

int sandwire_filter_install_with_helper(struct sandwire_comms *comms, const struct sock_filter *program,
                                        size_t count, bool allow_speculation,
                                        enum sandwire_filter_step *step) {
  if (count == 0 || count > SANDWIRE_FILTER_MAX_INSTRUCTIONS) {
    *step = SANDWIRE_FILTER_STEP_PROGRAM;
    return -EINVAL;
  }
  int error = sandwire_filter_prepare(allow_speculation, step);
  if (error) {
    return error;
  }
  static struct helper helper; /* the helper uses it, and may outlive this frame by an instruction */
  helper.comms = comms;
  helper.caller = getpid();
  atomic_store(&helper.listener, LISTENER_PENDING);
  atomic_store(&helper.outcome, OUTCOME_PENDING);
  atomic_store(&helper.alive, -1);
  /* No exit signal: the caller's SIGCHLD handling and wait() do not see the helper. */
  int pid =
      clone(run_helper, helper_stack + STACK_SIZE, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_CHILD_CLEARTID,
            &helper, NULL, NULL, &helper.alive);
  if (pid < 0) {
    *step = SANDWIRE_FILTER_STEP_HELPER;
    return -errno;
  }
  long listener = sandwire_filter_seccomp(
      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
      allow_speculation, program, count);
  int seccomp_errno = errno;
  atomic_store(&helper.listener, listener < 0 ? LISTENER_FAILED : (int)listener);
  spin_until_helper_is_gone(&helper);
  if (listener < 0) {
    *step = SANDWIRE_FILTER_STEP_SECCOMP;
    return -seccomp_errno;
  }
  if (atomic_load(&helper.outcome) != OUTCOME_WATCHED) {
    sandwire_filter_die();
  }
  return 0;
}
