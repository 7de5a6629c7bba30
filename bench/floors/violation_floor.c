/* violation_floor COUNT: a child makes a call for which its filter kills it, COUNT times. Prints how long
 * after the call the parent knows it, in nanoseconds, one a line. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void violate(volatile long long *called) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_personality, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    _exit(2);
  }
  *called = now_ns();
  syscall(SYS_personality, 0);
  _exit(3);
}

int main(int argc, char **argv) {
  volatile long long *called = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (argc < 2 || called == MAP_FAILED) {
    return 2;
  }
  for (int i = 0; i < atoi(argv[1]); i++) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
      violate(called);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
      return 1;
    }
    printf("%lld\n", now_ns() - *called);
  }
  return 0;
}
