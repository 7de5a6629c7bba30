/* networks_of PID: the sockets that another process has, one a line: the descriptor, the inode of its network
 * namespace, or 0 and the errno for which it cannot be had, and its abstract name if it has one. Run outside
 * of any sandbox. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void tell(int pidfd, int number) {
  const int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  struct stat status;
  const int network = fd < 0 ? -1 : ioctl(fd, SIOCGSKNS);
  if (network < 0 || fstat(network, &status) != 0) {
    printf("%d 0 %d\n", number, errno);
  } else {
    struct sockaddr_un name = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof name;
    const bool is_named = getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
                          name.sun_family == AF_UNIX && size > sizeof name.sun_family + 1 &&
                          name.sun_path[0] == '\0';
    printf("%d %llu %.*s\n", number, (unsigned long long)status.st_ino,
           is_named ? (int)(size - sizeof name.sun_family - 1) : 0, name.sun_path + 1);
  }
  close(network);
  close(fd);
}

int main(int argc, char **argv) {
  char path[64];
  if (argc != 2) {
    return 2;
  }
  snprintf(path, sizeof path, "/proc/%s/fd", argv[1]);
  const int pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
  DIR *directory = opendir(path);
  if (pidfd < 0 || directory == NULL) {
    perror(path);
    return 1;
  }
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    char target[64] = "";
    if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0 &&
        strncmp(target, "socket:", 7) == 0) {
      tell(pidfd, atoi(entry->d_name));
    }
  }
  return 0;
}
