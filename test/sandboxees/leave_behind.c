/* leave_behind [siblings N]: starts a daemon in a session of its own, says so on standard output, and exits
 * with 0. Or leaves N dead and one living child to its own parent, by clone3(), whose flags no filter sees.
 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long clone_sibling(void) {
  struct clone_args args;
  memset(&args, 0, sizeof args);
  args.flags = CLONE_PARENT; /* which takes over the exit signal, too */
  return syscall(SYS_clone3, &args, sizeof args);
}

static int leave_siblings(int count) {
  for (int i = 0; i <= count; i++) {
    long pid = clone_sibling();
    if (pid == 0) {
      if (i < count) {
        _exit(0);
      }
      for (;;) {
        pause();
      }
    }
    if (pid < 0) {
      return 1;
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "siblings") == 0) {
    return leave_siblings(atoi(argv[2]));
  }
  int begun[2]; /* ends when the daemon has spoken */
  char byte;
  if (pipe(begun) != 0) {
    return 1;
  }
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      if (write(1, "daemon\n", 7) != 7) {
        _exit(1);
      }
      close(begun[1]);
      for (;;) {
        pause();
      }
    }
    _exit(0);
  }
  close(begun[1]);
  return read(begun[0], &byte, 1) == 0 ? 0 : 1;
}
