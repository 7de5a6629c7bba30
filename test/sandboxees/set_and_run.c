/* set_and_run COMMAND...: no sandboxee; runs a command with all of the inherited attributes set that this
 * process may set and no sandboxee should get. Prints on standard error which could not be set. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *what, long result) {
  if (result < 0) {
    fprintf(stderr, "set_and_run: %s: %s\n", what, strerror(errno));
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    return 100;
  }
  note("PR_SET_MEMORY_MERGE", prctl(67, 1, 0, 0, 0));
  note("PR_SET_IO_FLUSHER", prctl(57, 1, 0, 0, 0));
  note("PR_SET_TIMERSLACK", prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0));
  note("PR_SET_CHILD_SUBREAPER", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
  note("PR_SET_KEEPCAPS", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
  sigset_t all;
  sigfillset(&all);
  note("sigprocmask", sigprocmask(SIG_SETMASK, &all, NULL));
  umask(0);
  for (int number = 1; number < 32; number++) {
    if (number != SIGKILL && number != SIGSTOP) {
      note("signal", signal(number, SIG_IGN) == SIG_ERR ? -1 : 0);
    }
  }
  execvp(argv[1], argv + 1);
  perror(argv[1]);
  return 101;
}
