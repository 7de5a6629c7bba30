/* reach_out HOW: tries to get at files, and exits with errno, 0 on success.
 *   received       opens "secret" in the directory that comes over comms
 *   mapped FD      the same in the directory that this fd is
 *   change DIR     makes, writes, truncates, and renames between two directories in DIR
 *   write FILE     opens it for writing
 *   list DIR       lists it
 *   run PROGRAM    executes it
 *   abstract NAME  connects to a unix socket of that abstract name
 *   kill PID       sends it no signal, which still asks whether it may */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sandwire/sandwire.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "received") == 0) {
    int fd = -1;
    return sandwire_comms_recv_fd(sandwire_comms_default(), &fd) == SANDWIRE_OK ? open_secret(fd) : 200;
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
  if (strcmp(how, "abstract") == 0) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, argv[2], strnlen(argv[2], sizeof address.sun_path - 1));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(argv[2]));
    /* Older Node fills the name up with zeros, and these count. */
    return connect(fd, (struct sockaddr *)&address, size) == 0 ||
                   connect(fd, (struct sockaddr *)&address, sizeof address) == 0
               ? 0
               : errno;
  }
  if (strcmp(how, "kill") == 0) {
    return kill(atoi(argv[2]), 0) == 0 ? 0 : errno;
  }
  return 202;
}
