/* inspect: writes what it finds itself to be, one "name=value" a line, to standard output. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static void list_directory(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    printf("ls %s=%s\n", path, strerror(errno));
    return;
  }
  printf("ls %s=", path);
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      printf("%s ", entry->d_name);
    }
  }
  printf("\n");
  closedir(directory);
}

int main(int argc, char **argv) {
  printf("uid=%d gid=%d euid=%d egid=%d\n", getuid(), getgid(), geteuid(), getegid());
  printf("pid=%d ppid=%d sid=%d pgid=%d\n", getpid(), getppid(), getsid(0), getpgid(0));
  printf("groups=%d\n", getgroups(0, NULL));
  printf("open fds=");
  for (int fd = 0; fd < 2048; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) {
      printf("%d ", fd);
    }
  }
  printf("\n");
  for (char **env = environ; *env != NULL; env++) {
    printf("env=%s\n", *env);
  }
  char cwd[4096];
  printf("cwd=%s\n", getcwd(cwd, sizeof cwd) != NULL ? cwd : strerror(errno));
  struct utsname name;
  if (uname(&name) == 0) {
    printf("hostname=%s\n", name.nodename);
  }
  mode_t mask = umask(0);
  printf("umask=%03o\n", mask);
  printf("no_new_privs=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  int bounding = 0;
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    bounding += prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
  }
  printf("bounding=%d\n", bounding);
  int terminal = open("/dev/tty", O_RDWR);
  printf("tty=%s\n", terminal >= 0 ? "yes" : "no");
  printf("mkdir /=%s\n", mkdir("/made", 0755) == 0 ? "made" : strerror(errno));
  printf("mkdir /tmp=%s\n", mkdir("/tmp/made", 0755) == 0 ? "made" : strerror(errno));
  list_directory("/");
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    printf("open %s=%s\n", argv[i], fd >= 0 ? "ok" : strerror(errno));
  }
  return 0;
}
