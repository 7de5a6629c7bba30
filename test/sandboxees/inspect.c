/* inspect: writes what it finds itself to be, one "name=value" a line, to standard output. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

/* A connection to a port of its own, through the loopback device. */
static const char *try_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(server, (struct sockaddr *)&address, size) != 0 || listen(server, 1) != 0 ||
      getsockname(server, (struct sockaddr *)&address, &size) != 0 ||
      connect(client, (struct sockaddr *)&address, size) != 0) {
    return strerror(errno);
  }
  close(client);
  close(server);
  return "ok";
}

static void print_capabilities(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  syscall(SYS_capget, &header, data);
  printf("capabilities=%x %x %x\n", data[0].effective | data[1].effective,
         data[0].permitted | data[1].permitted, data[0].inheritable | data[1].inheritable);
}

static void print_interfaces(void) {
  struct if_nameindex *interfaces = if_nameindex();
  printf("interfaces=");
  for (struct if_nameindex *each = interfaces; each != NULL && each->if_index != 0; each++) {
    printf("%s ", each->if_name);
  }
  printf("\n");
}

static void print_file(const char *path) {
  char line[1024];
  FILE *file = fopen(path, "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    printf("%s: %s", path, line);
  }
  if (file != NULL) {
    fclose(file);
  }
}

static void print_namespaces(void) {
  const char *names[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    if (readlink(path, target, sizeof target - 1) > 0) {
      printf("namespace %s=%s\n", names[i], target);
    }
  }
}

/* Ignored ones and blocked ones: exec hands both down. */
static void print_signals(void) {
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  printf("signals=");
  for (int number = 1; number < 65; number++) {
    struct sigaction action;
    if (sigismember(&blocked, number) == 1 ||
        (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)) {
      printf("%d ", number);
    }
  }
  printf("\n");
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
  list_directory("/sys");
  print_capabilities();
  print_interfaces();
  print_namespaces();
  print_file("/proc/self/stat");
  print_file("/proc/self/mountinfo");
  print_file("/proc/self/cgroup");
  print_file("/proc/self/oom_score_adj");
  printf("personality=%x\n", personality(0xffffffff));
  printf("scheduling=%d nice=%d\n", sched_getscheduler(0), getpriority(PRIO_PROCESS, 0));
  struct rlimit rank;
  getrlimit(RLIMIT_RTPRIO, &rank);
  printf("real-time limit=%lu\n", (unsigned long)rank.rlim_max);
  getrlimit(RLIMIT_NICE, &rank);
  printf("nice limit=%lu\n", (unsigned long)rank.rlim_max);
  printf("securebits=%d keepcaps=%d ambient=%d\n", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0),
         prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0), prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0));
  print_signals();
  printf("loopback=%s\n", try_loopback());
  printf("speculation=%d\n", prctl(PR_GET_SPECULATION_CTRL, 0 /* store bypass */, 0, 0, 0));
  printf("mkdir /data=%s\n", mkdir("/data/made", 0755) == 0 ? "made" : strerror(errno));
  for (int i = 1; i < argc; i++) {
    int fd = open(argv[i], O_RDONLY);
    printf("open %s=%s\n", argv[i], fd >= 0 ? "ok" : strerror(errno));
  }
  return 0;
}
