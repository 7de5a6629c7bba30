/* write_late N [violate]: N children count in the file /out/counter, each in a page of its own. It exits with
 * 0 when all have begun. With "violate" they wait for its end, make a syscall that does not exist, and count
 * then. */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

int main(int argc, char **argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 0;
  const pid_t self = getpid();
  int fd = open("/out/counter", O_RDWR);
  volatile uint64_t *counters =
      mmap(NULL, (size_t)(count + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  volatile uint64_t *begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (fd < 0 || counters == MAP_FAILED || begun == MAP_FAILED) {
    return 1;
  }
  for (int i = 0; i < count; i++) {
    if (fork() == 0) {
      begun[i] = 1;
      if (argc > 2) {
        while (getppid() == self) {
        }
        syscall(-1);
      }
      for (;;) {
        counters[i * (PAGE / 8)]++;
      }
    }
  }
  for (int i = 0; i < count; i++) {
    while (begun[i] == 0) {
      sched_yield();
    }
  }
  return 0;
}
