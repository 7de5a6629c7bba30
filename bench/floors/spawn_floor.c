/* spawn_floor COUNT PROGRAM [ARG …]: starts the program with posix_spawn and waits for it, COUNT times.
 * Prints the time of each, in nanoseconds, one a line. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    return 2;
  }
  char *const no_environment[] = {NULL};
  for (int i = 0; i < atoi(argv[1]); i++) {
    long long started = now_ns();
    pid_t pid;
    int status;
    if (posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, no_environment) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0) {
      return 1;
    }
    printf("%lld\n", now_ns() - started);
  }
  return 0;
}
