#include "id_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int id_map_write(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  const ssize_t written = write(fd, text, strlen(text));
  const int error = written < 0 ? errno : EIO;
  close(fd);
  errno = error;
  return written == (ssize_t)strlen(text) ? 0 : -1;
}
