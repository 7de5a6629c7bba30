/* tell_self: what a process can learn of itself by syscalls alone, a line "name=value" each; "none" for what
 * this kernel or machine does not have. The policy has to allow keyctl, else the keyrings are left out. */
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* From linux/prctl.h; the headers of the machine may be older. */
static const struct {
  const char *name;
  int option;
} by_value[] = {
    {"PR_GET_KEEPCAPS", 7},      {"PR_GET_TIMING", 13},     {"PR_GET_SECUREBITS", 27},
    {"PR_GET_TIMERSLACK", 30},   {"PR_MCE_KILL_GET", 34},   {"PR_GET_NO_NEW_PRIVS", 39},
    {"PR_GET_THP_DISABLE", 42},  {"PR_GET_IO_FLUSHER", 58}, {"PR_GET_MDWE", 66},
    {"PR_GET_MEMORY_MERGE", 68}, {"PR_GET_DUMPABLE", 3},
};
static const struct {
  const char *name;
  int option;
} by_pointer[] = {
    {"PR_GET_PDEATHSIG", 2},
    {"PR_GET_TSC", 25},
    {"PR_GET_CHILD_SUBREAPER", 37},
};

static void tell(const char *name, long value) {
  if (value < 0) {
    printf("%s=none\n", name);
  } else {
    printf("%s=%ld\n", name, value);
  }
}

static void tell_prctl(void) {
  for (size_t i = 0; i < sizeof by_value / sizeof by_value[0]; i++) {
    tell(by_value[i].name, prctl(by_value[i].option, 0, 0, 0, 0));
  }
  for (size_t i = 0; i < sizeof by_pointer / sizeof by_pointer[0]; i++) {
    int value = -1;
    tell(by_pointer[i].name, prctl(by_pointer[i].option, &value, 0, 0, 0) < 0 ? -1 : value);
  }
  int ambient = 0;
  for (int capability = 0; capability < 64; capability++) {
    ambient += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1;
  }
  tell("PR_CAP_AMBIENT", ambient);
  unsigned long long cookie = 0;
  tell("PR_SCHED_CORE", prctl(62 /* PR_SCHED_CORE */, 0 /* GET */, 0, 0, &cookie) < 0 ? -1 : (long)cookie);
#ifdef __x86_64__
  tell("ARCH_GET_CPUID", syscall(SYS_arch_prctl, 0x1011, 0));
#endif
}

static void tell_timers(void) {
  const char *const names[] = {"ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"};
  for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
    struct itimerval timer;
    tell(names[which], getitimer(which, &timer) < 0 ? -1 : timer.it_value.tv_sec + timer.it_value.tv_usec);
  }
}

static void tell_keyrings(void) {
  const struct {
    const char *name;
    int id;
  } keyrings[] = {
      {"thread keyring", KEY_SPEC_THREAD_KEYRING},
      {"process keyring", KEY_SPEC_PROCESS_KEYRING},
      {"session keyring", KEY_SPEC_SESSION_KEYRING},
  };
  for (size_t i = 0; i < sizeof keyrings / sizeof keyrings[0]; i++) {
    unsigned char keys[256];
    const long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, keyrings[i].id, 0);
    const long size = id < 0 ? -1 : syscall(SYS_keyctl, KEYCTL_READ, id, keys, sizeof keys);
    printf("%s=%s\n", keyrings[i].name,
           id < 0      ? "none"
           : size == 0 ? "empty"
           : size > 0  ? "holds keys"
                       : "?");
  }
}

int main(void) {
  stack_t stack;
  sigset_t pending;
  int pending_count = 0;
  tell_prctl();
  tell_timers();
  printf("sigaltstack=%s\n",
         sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0 ? "none" : "own");
  if (sigpending(&pending) == 0) {
    for (int number = 1; number < SIGRTMAX; number++) {
      pending_count += sigismember(&pending, number) == 1;
    }
  }
  tell("sigpending", pending_count);
  int mode = -1;
  tell("get_mempolicy", syscall(SYS_get_mempolicy, &mode, NULL, 0, NULL, 0) < 0 ? -1 : mode);
  printf("AT_SECURE=%lu\n", getauxval(AT_SECURE));
  printf("getpid=%d\n", (int)syscall(SYS_getpid));
  printf("getppid=%d\n", (int)syscall(SYS_getppid));
  printf("getsid=%d\n", (int)syscall(SYS_getsid, 0));
  printf("getpgid=%d\n", (int)syscall(SYS_getpgid, 0));
  printf("getuid=%d\n", (int)syscall(SYS_getuid));
  printf("getgid=%d\n", (int)syscall(SYS_getgid));
  char directory[4096];
  const long size = syscall(SYS_getcwd, directory, sizeof directory);
  printf("getcwd=%s\n", size > 0 ? directory : "none");
  tell_keyrings();
  return fflush(stdout) == 0 ? 0 : errno;
}
