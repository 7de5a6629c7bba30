#include "inherited_fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int inherited_fds_open(struct inherited_fds *inherited) {
  inherited->count = 0;
  inherited->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  inherited->closed_fd = open("/dev/null", O_PATH | O_CLOEXEC);
  if (inherited->null_fd < 0 || inherited->closed_fd < 0) {
    int error = errno;
    inherited_fds_close(inherited);
    return error;
  }
  return 0;
}

void inherited_fds_close(struct inherited_fds *inherited) {
  if (inherited->null_fd >= 0) {
    close(inherited->null_fd);
  }
  if (inherited->closed_fd >= 0) {
    close(inherited->closed_fd);
  }
  inherited->null_fd = inherited->closed_fd = -1;
}

static bool is_internal(int directory, const char *number) {
  char target[32] = "";
  ssize_t size = readlinkat(directory, number, target, sizeof target - 1);
  return size > 0 && (strncmp(target, "anon_inode:", 11) == 0 || strncmp(target, "pipe:", 5) == 0);
}

int inherited_fds_list(struct inherited_fds *inherited, int except) {
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) {
    return errno;
  }
  inherited->count = 0;
  int result = 0;
  const struct dirent *entry;
  while (result == 0 && (entry = readdir(directory)) != NULL) {
    const int fd = atoi(entry->d_name); /* "." and ".." are 0 */
    if (fd <= 2 || fd == except || fd == dirfd(directory) || fd == inherited->null_fd ||
        fd == inherited->closed_fd) {
      continue;
    }
    struct stat status;
    if (inherited->count == INHERITED_FDS_MAX) {
      result = EMFILE;
    } else if (fstat(fd, &status) != 0) {
      result = errno;
    } else {
      inherited->fds[inherited->count++] =
          (struct inherited_fd){.fd = fd,
                                .is_internal = is_internal(dirfd(directory), entry->d_name),
                                .device = status.st_dev,
                                .inode = status.st_ino};
    }
  }
  closedir(directory);
  return result;
}

int inherited_fds_let_go(const struct inherited_fds *inherited) {
  for (size_t i = 0; i < inherited->count; i++) {
    const struct inherited_fd *listed = &inherited->fds[i];
    struct stat status;
    /* libuv closes some by itself after a fork and opens others under their numbers. */
    if (fstat(listed->fd, &status) != 0 || status.st_dev != listed->device ||
        status.st_ino != listed->inode) {
      continue;
    }
    if (dup3(listed->is_internal ? inherited->null_fd : inherited->closed_fd, listed->fd, O_CLOEXEC) < 0) {
      return errno;
    }
  }
  return 0;
}
