/* fds read FD|mark|look: reads a byte of FD, and exits with 0 or the errno; leaves marks on all open files
 * above standard error; exits with the number of open files on which there are such marks. The marks are what
 * an open file keeps for all who have it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FDS = 1100 };

static int leave_marks(void) {
  for (int fd = STDERR_FILENO + 1; fd < FDS; fd++) {
    (void)fcntl(fd, F_SETSIG, SIGUSR2);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static int count_marks(void) {
  int count = 0;
  for (int fd = STDERR_FILENO + 1; fd < FDS; fd++) {
    const int flags = fcntl(fd, F_GETFL);
    count += fcntl(fd, F_GETSIG) == SIGUSR2 || (flags >= 0 && (flags & O_NONBLOCK) != 0);
  }
  return count;
}

int main(int argc, char **argv) {
  char byte;
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "read") == 0 && argc > 2) {
    const ssize_t size = read(atoi(argv[2]), &byte, 1);
    return size == 1 ? 0 : size == 0 ? 99 : errno;
  }
  return strcmp(what, "mark") == 0 ? leave_marks() : count_marks();
}
