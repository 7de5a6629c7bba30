/* violate: writes the time to standard output (nanoseconds of CLOCK_MONOTONIC, eight bytes) and makes a call
 * that its policy does not allow. The benchmark of violations runs it. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long ns = now.tv_sec * 1000000000LL + now.tv_nsec;
  if (write(1, &ns, sizeof ns) != (ssize_t)sizeof ns) {
    return 2;
  }
  syscall(SYS_personality, 0);
  return 3;
}
