/* shared_files PID OTHER_PID …: prints "FD OTHER_PID OTHER_FD" for each open file of PID that OTHER_PID has
 * open too (kcmp(2)): the same open file, not only a file of the same name. Exits with 100 and the errno
 * where that cannot be found out. No sandboxee: it looks at processes from outside. */
#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static DIR *open_fds(const char *pid) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *directory = opendir(path);
  if (directory == NULL) {
    exit(100 + errno);
  }
  return directory;
}

static void compare(const char *pid, const char *fd, const char *other) {
  DIR *others = open_fds(other);
  const struct dirent *entry;
  while ((entry = readdir(others)) != NULL) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    const long result = syscall(SYS_kcmp, atoi(pid), atoi(other), KCMP_FILE, atol(fd), atol(entry->d_name));
    if (result == 0) {
      printf("%s %s %s\n", fd, other, entry->d_name);
    } else if (result < 0 && errno != EBADF) { /* closed meanwhile */
      exit(100 + errno);
    }
  }
  closedir(others);
}

int main(int argc, char **argv) {
  DIR *fds = open_fds(argc > 1 ? argv[1] : "0");
  const struct dirent *entry;
  while ((entry = readdir(fds)) != NULL) {
    for (int i = 2; entry->d_name[0] != '.' && i < argc; i++) {
      compare(argv[1], entry->d_name, argv[i]);
    }
  }
  closedir(fds);
  return 0;
}
