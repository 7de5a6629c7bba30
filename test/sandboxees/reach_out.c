/* reach_out HOW: tries to reach files and other objects, and exits with errno, 0 on success.
 *   received [FD]  opens "secret" in the directory that it receives over comms, or over a comms on this fd
 *   mapped FD      the same in the directory behind this fd
 *   change DIR     makes, writes, truncates, and renames between two directories in DIR
 *   read FILE      opens it for reading
 *   write FILE     opens it for writing
 *   stat FILE      asks for its attributes
 *   readlink FILE  reads the link
 *   list DIR       lists it
 *   run PROGRAM    executes it
 *   attributes FILE  changes its mode, owner, times and extended attributes: 0 if any could be changed
 *   watch DIR      watches it with inotify
 *   ioctl FILE     opens it with access mode 3, by three calls: 0 if any succeeded
 *   flags FILE     opens it for reading and sets its flags to their present value
 *   connect PATH   connects to a unix socket of that path
 *   pair PATH      sends a datagram there, from one of a pair of sockets
 *   abstract NAME  connects to a unix socket of that abstract name
 *   listen NAME    makes one, reports that over comms, and waits for a connection
 *   kill PID       sends signal 0, which only checks the permission */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sandwire/sandwire.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_secret(int directory) {
  return openat(directory, "secret", O_RDONLY) >= 0 ? 0 : errno;
}

static int change(const char *directory) {
  if (chdir(directory) != 0) {
    return errno;
  }
  int fd = (mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0) ? open("a/file", O_CREAT | O_RDWR, 0644) : -1;
  if (fd < 0 || write(fd, "text", 4) != 4 || truncate("a/file", 1) != 0 || rename("a/file", "b/file") != 0 ||
      symlink("b/file", "a/link") != 0 || unlink("a/link") != 0 || mkfifo("a/pipe", 0600) != 0 ||
      unlink("a/pipe") != 0 || unlink("b/file") != 0 || rmdir("a") != 0 || rmdir("b") != 0) {
    return errno;
  }
  return 0;
}

static int change_attributes(const char *file) {
  const struct timespec times[2] = {{1, 0}, {1, 0}};
  const int fd = open(file, O_RDONLY);
  const bool changed = chmod(file, 0777) == 0 || fchmodat(AT_FDCWD, file, 0777, 0) == 0 ||
                       lchown(file, -1, -1) == 0 || utimensat(AT_FDCWD, file, times, 0) == 0 ||
                       setxattr(file, "user.a", "b", 1, 0) == 0 || removexattr(file, "user.a") == 0 ||
                       (fd >= 0 && fchmod(fd, 0777) == 0) || (fd >= 0 && futimens(fd, times) == 0) ||
                       (fd >= 0 && fsetxattr(fd, "user.a", "b", 1, 0) == 0);
  return changed ? 0 : errno;
}

static int open_for_ioctl(const char *file) {
  const struct open_how how = {.flags = O_ACCMODE};
  return open(file, O_ACCMODE) >= 0 || openat(AT_FDCWD, file, O_ACCMODE | O_CLOEXEC) >= 0 ||
                 syscall(SYS_openat2, AT_FDCWD, file, &how, sizeof how) >= 0
             ? 0
             : errno;
}

static int set_flags(const char *file) {
  int flags = 0;
  const int fd = open(file, O_RDONLY);
  return fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0
             ? 0
             : errno;
}

static struct sockaddr_un named(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
  return address;
}

static int connect_to(const char *path) {
  const struct sockaddr_un address = named(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

static int listen_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path + 1, name, strnlen(name, sizeof address.sun_path - 1));
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0) {
    return errno;
  }
  if (sandwire_comms_send_bool(sandwire_comms_default(), true) != SANDWIRE_OK) {
    return 200;
  }
  return accept(fd, NULL, NULL) >= 0 ? 0 : errno;
}

static int send_from_pair(const char *path) {
  const struct sockaddr_un address = named(path);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_RAW, 0, pair) != 0 &&
      socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return errno;
  }
  return sendto(pair[0], "x", 1, 0, (const struct sockaddr *)&address, sizeof address) == 1 ? 0 : errno;
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "received") == 0) {
    int fd = -1;
    struct sandwire_comms *comms = argc > 2 ? sandwire_comms_create(atoi(argv[2])) : sandwire_comms_default();
    return sandwire_comms_recv_fd(comms, &fd) == SANDWIRE_OK ? open_secret(fd) : 200;
  }
  if (argc < 3) {
    return 201;
  }
  if (strcmp(how, "mapped") == 0) {
    return open_secret(atoi(argv[2]));
  }
  if (strcmp(how, "change") == 0) {
    return change(argv[2]);
  }
  if (strcmp(how, "read") == 0) {
    return open(argv[2], O_RDONLY) >= 0 ? 0 : errno;
  }
  if (strcmp(how, "stat") == 0) {
    struct stat found;
    return stat(argv[2], &found) == 0 ? 0 : errno;
  }
  if (strcmp(how, "readlink") == 0) {
    char target[64];
    return readlink(argv[2], target, sizeof target) >= 0 ? 0 : errno;
  }
  if (strcmp(how, "write") == 0) {
    return open(argv[2], O_WRONLY) >= 0 ? 0 : errno;
  }
  if (strcmp(how, "list") == 0) {
    return opendir(argv[2]) != NULL ? 0 : errno;
  }
  if (strcmp(how, "run") == 0) {
    execv(argv[2], (char *[]){argv[2], "0", NULL});
    return errno;
  }
  if (strcmp(how, "attributes") == 0) {
    return change_attributes(argv[2]);
  }
  if (strcmp(how, "watch") == 0) {
    return inotify_add_watch(inotify_init1(0), argv[2], IN_ALL_EVENTS) >= 0 ? 0 : errno;
  }
  if (strcmp(how, "ioctl") == 0) {
    return open_for_ioctl(argv[2]);
  }
  if (strcmp(how, "flags") == 0) {
    return set_flags(argv[2]);
  }
  if (strcmp(how, "connect") == 0) {
    return connect_to(argv[2]);
  }
  if (strcmp(how, "pair") == 0) {
    return send_from_pair(argv[2]);
  }
  if (strcmp(how, "abstract") == 0) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, argv[2], strnlen(argv[2], sizeof address.sun_path - 1));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) {
      return errno;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[2]));
    /* Older Node versions pad the name with zeros, which count. */
    return connect(fd, (struct sockaddr *)&address, size) == 0 ||
                   connect(fd, (struct sockaddr *)&address, sizeof address) == 0
               ? 0
               : errno;
  }
  if (strcmp(how, "listen") == 0) {
    return listen_abstract(argv[2]);
  }
  if (strcmp(how, "kill") == 0) {
    return kill(atoi(argv[2]), 0) == 0 ? 0 : errno;
  }
  return 202;
}
