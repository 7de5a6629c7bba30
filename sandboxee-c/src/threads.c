#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The place of the number of threads among the fields after the name (proc_pid_stat(5)); the first field is
 * the state. */
enum { THREADS_FIELD = 20, STATE_FIELD = 3 };

int sandwire_count_threads(void) {
  char text[512];
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  ssize_t size;
  do {
    size = read(fd, text, sizeof text - 1);
  } while (size < 0 && errno == EINTR);
  int error = errno;
  (void)close(fd);
  if (size < 0) {
    errno = error;
    return -1;
  }
  text[size] = '\0';
  const char *at = strrchr(text, ')'); /* the name may contain anything */
  for (int field = STATE_FIELD - 1; at != NULL && field < THREADS_FIELD; field++) {
    at = strchr(at + 1, ' ');
  }
  long count = at == NULL ? 0 : strtol(at, NULL, 10);
  if (count < 1 || count > 1 << 22) { /* PID_MAX_LIMIT */
    errno = EBADMSG;
    return -1;
  }
  return (int)count;
}
