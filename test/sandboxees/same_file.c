/* same_file PID FD PID FD: exits with 0 if both are the same open file (kcmp(2)), 1 if not, 100 and the errno
 * where that cannot be told. No sandboxee: it looks at two processes from outside. */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 5) {
    return 2;
  }
  long result = syscall(SYS_kcmp, atoi(argv[1]), atoi(argv[3]), KCMP_FILE, atol(argv[2]), atol(argv[4]));
  return result < 0 ? 100 + errno : result != 0;
}
