#include "mount_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Of the root directory of a procfs (PROC_ROOT_INO, linux/proc_ns.h) and of a sysfs. */
enum { ROOT_INODE = 1 };

/* True if a place in a procfs belongs to a process: a part of its path is a number. */
static bool is_of_a_process(int fd) {
  char link[40];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof(path));
  if (length <= 0 || (size_t)length == sizeof(path)) {
    return true; /* it cannot be found out */
  }
  path[length] = '\0';
  for (const char *part = path; part != NULL; part = strchr(part, '/')) {
    part += *part == '/';
    size_t digits = strspn(part, "0123456789");
    if (digits > 0 && (part[digits] == '/' || part[digits] == '\0')) {
      return true;
    }
  }
  return false;
}

/* The host's /proc shows all processes and can change them; its /sys can change the machine. */
static bool may_be_shown(int fd, bool writable) {
  struct statfs system;
  if (fstatfs(fd, &system) != 0) {
    return false;
  }
  const bool is_proc = system.f_type == PROC_SUPER_MAGIC;
  if (!is_proc && system.f_type != SYSFS_MAGIC) {
    return true;
  }
  struct stat status;
  return !writable && fstat(fd, &status) == 0 && status.st_ino != ROOT_INODE &&
         !(is_proc && is_of_a_process(fd));
}

int mount_source_open(const struct mount_request *mount) {
  /* The host resolved all symlinks when the policy was made. One that is found now was made since, perhaps by
   * a sandboxee that can write there and wants another one to be shown what it must not see. */
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
  int fd = (int)syscall(SYS_openat2, AT_FDCWD, mount->outside, &how, sizeof(how));
  if (fd >= 0 && !may_be_shown(fd, mount->writable)) {
    close(fd);
    errno = EPERM;
    return -1;
  }
  return fd;
}
