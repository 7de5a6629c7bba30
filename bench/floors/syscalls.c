/* syscalls getpid|getpgid BATCHES: makes 1,000 of these calls, BATCHES times. Prints for each batch the time
 * of one call, in thousandths of a nanosecond, one a line. It runs without a sandbox, as the floor, and in
 * one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 1000, MAX_BATCHES = 10000 };

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
  static long long times[MAX_BATCHES];
  int batches = argc < 3 ? 0 : atoi(argv[2]);
  if (batches < 1 || batches > MAX_BATCHES) {
    return 2;
  }
  long number = strcmp(argv[1], "getpid") == 0 ? SYS_getpid : SYS_getpgid;
  for (int batch = 0; batch < batches; batch++) {
    long long started = now_ns();
    for (int i = 0; i < CALLS; i++) {
      if (syscall(number, 0) < 0) {
        return 1;
      }
    }
    times[batch] = now_ns() - started;
  }
  for (int batch = 0; batch < batches; batch++) {
    printf("%lld\n", times[batch]);
  }
  return 0;
}
