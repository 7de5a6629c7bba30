#include "empty_network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "check.h"

enum { SOME = 3 * SANDWIRE_EMPTY_NETWORK_STOCK + 1 };

static size_t open_fds(void) {
  size_t count = 0;
  for (int fd = 0; fd < 4096; fd++) {
    count += fcntl(fd, F_GETFD) >= 0;
  }
  return count;
}

/* 0: it cannot be had. */
static ino_t network_of(int socket) {
  struct stat status;
  const int network = ioctl(socket, SIOCGSKNS);
  const bool found = network >= 0 && fstat(network, &status) == 0;
  if (network >= 0) {
    close(network);
  }
  return found ? status.st_ino : 0;
}

static ino_t own_network(void) {
  struct stat status;
  REQUIRE(stat("/proc/self/ns/net", &status) == 0);
  return status.st_ino;
}

static bool is_named(int socket) {
  struct sockaddr_un name;
  socklen_t size = sizeof name;
  return getsockname(socket, (struct sockaddr *)&name, &size) == 0 && size > sizeof name.sun_family + 1;
}

static void check_pair(const int pair[2], int type, ino_t network) {
  for (int end = 0; end < 2; end++) {
    int met = 0;
    socklen_t size = sizeof met;
    CHECK(fcntl(pair[end], F_GETFD) == FD_CLOEXEC);
    CHECK(getsockopt(pair[end], SOL_SOCKET, SO_TYPE, &met, &size) == 0 && met == type);
    CHECK_EQUAL(network, network_of(pair[end]));
    CHECK(is_named(pair[end]));
    struct sockaddr_un other = {.sun_family = AF_UNIX};
    memcpy(other.sun_path + 1, "other", 5);
    CHECK(bind(pair[end], (struct sockaddr *)&other, offsetof(struct sockaddr_un, sun_path) + 6) != 0);
    CHECK_EQUAL(EINVAL, errno);
    CHECK(listen(pair[end], 1) != 0);
    CHECK(send(pair[end], "x", 1, 0) == 1);
    char byte = 0;
    CHECK(recv(pair[1 - end], &byte, 1, 0) == 1 && byte == 'x');
  }
}

static void pairs_are_of_one_empty_network(int type) {
  const size_t before = open_fds();
  struct sandwire_empty_network network;
  sandwire_empty_network_init(&network, type, SANDWIRE_EMPTY_NETWORK_STOCK);
  CHECK_EQUAL(before, open_fds());
  int pairs[SOME][2];
  for (size_t i = 0; i < SOME; i++) {
    REQUIRE(sandwire_empty_network_pair(&network, pairs[i]) == 0);
  }
  const ino_t inode = network_of(pairs[0][0]);
  CHECK(inode != 0 && inode != own_network());
  for (size_t i = 0; i < SOME; i++) {
    check_pair(pairs[i], type, inode);
    close(pairs[i][0]);
    close(pairs[i][1]);
  }
  const int single = sandwire_empty_network_socket(&network);
  REQUIRE(single >= 0);
  CHECK_EQUAL(inode, network_of(single));
  CHECK(fcntl(single, F_GETFD) == FD_CLOEXEC);
  close(single);
  sandwire_empty_network_close(&network);
  CHECK_EQUAL(before, open_fds());
}

static void one_at_a_time_leaves_nothing_open(void) {
  struct sandwire_empty_network network;
  sandwire_empty_network_init(&network, SOCK_SEQPACKET, 1);
  size_t open = 0;
  for (int i = 0; i < 5; i++) {
    int pair[2];
    REQUIRE(sandwire_empty_network_pair(&network, pair) == 0);
    close(pair[0]);
    close(pair[1]);
    CHECK(i == 0 || open == open_fds());
    open = open_fds();
  }
  sandwire_empty_network_close(&network);
}

static volatile sig_atomic_t heard;

static void hear(int signal) {
  (void)signal;
  heard++;
}

/* Makes some, and says whether all went well. */
static bool makes_pairs(struct sandwire_empty_network *network) {
  for (size_t i = 0; i < SOME; i++) {
    int pair[2];
    if (sandwire_empty_network_pair(network, pair) != 0) {
      return false;
    }
    close(pair[0]);
    close(pair[1]);
  }
  return true;
}

static void nobody_hears_of_it(void) {
  struct sandwire_empty_network network;
  sandwire_empty_network_init(&network, SOCK_STREAM, 1);
  const pid_t child = fork();
  if (child == 0) {
    _exit(3);
  }
  heard = 0;
  signal(SIGCHLD, hear);
  siginfo_t info;
  REQUIRE(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
  heard = 0;
  CHECK(makes_pairs(&network));
  CHECK_EQUAL(0, heard);
  int status = 0;
  CHECK(waitpid(-1, &status, 0) == child && WEXITSTATUS(status) == 3);
  CHECK(waitpid(-1, &status, __WALL | WNOHANG) < 0 && errno == ECHILD);
  signal(SIGCHLD, SIG_IGN);
  CHECK(makes_pairs(&network));
  signal(SIGCHLD, SIG_DFL);
  CHECK_EQUAL(1, prctl(PR_GET_DUMPABLE));
  sandwire_empty_network_close(&network);
}

/* In a process of its own. */
static void in_child(const char *what, bool (*behave)(struct sandwire_empty_network *)) {
  struct sandwire_empty_network network;
  sandwire_empty_network_init(&network, SOCK_STREAM, SANDWIRE_EMPTY_NETWORK_STOCK);
  REQUIRE(makes_pairs(&network));
  const pid_t child = fork();
  if (child == 0) {
    _exit(behave(&network) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (status != 0) {
    fprintf(stderr, "%s: status %d\n", what, status);
  }
  CHECK_EQUAL(0, status);
  sandwire_empty_network_close(&network);
}

/* The namespaces are another's then, and new ones are made. */
static bool after_another_uid(struct sandwire_empty_network *network) {
  return setgid(65534) == 0 && setuid(65534) == 0 && makes_pairs(network);
}

static bool without_proc(struct sandwire_empty_network *network) {
  sandwire_empty_network_close(network);
  return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("none", "/proc", "tmpfs", 0, NULL) == 0 && makes_pairs(network);
}

static bool write_to(const char *path, const char *text) {
  const int fd = open(path, O_WRONLY);
  const bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  if (fd >= 0) {
    close(fd);
  }
  return written;
}

static bool where_it_is_forbidden(struct sandwire_empty_network *network) {
  int pair[2];
  sandwire_empty_network_close(network);
  if (unshare(CLONE_NEWUSER) != 0 || !write_to("/proc/sys/user/max_user_namespaces", "0")) {
    return false;
  }
  const size_t before = open_fds();
  return sandwire_empty_network_pair(network, pair) == -ENOSPC &&
         sandwire_empty_network_socket(network) == -ENOSPC && before == open_fds();
}

static bool out_of_fds(struct sandwire_empty_network *network) {
  sandwire_empty_network_close(network);
  const size_t before = open_fds();
  for (rlim_t room = 0; room < 16; room++) {
    const struct rlimit limit = {before + room, 4096};
    int pair[2];
    setrlimit(RLIMIT_NOFILE, &limit);
    const int result = sandwire_empty_network_pair(network, pair);
    setrlimit(RLIMIT_NOFILE, &(const struct rlimit){4096, 4096});
    if (result == 0) {
      close(pair[0]);
      close(pair[1]);
    } else if (result != -EMFILE || room >= 4) {
      return false;
    }
    sandwire_empty_network_close(network);
    if (open_fds() != before) {
      return false;
    }
  }
  return makes_pairs(network);
}

static atomic_bool killing;

/* Kills every child of the thread that it sees. */
static void *kill_children(void *path) {
  while (atomic_load(&killing)) {
    char text[64] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) {
      kill(atoi(text), SIGKILL);
    }
    close(fd);
  }
  return NULL;
}

/* At any instruction: what is reported is right, and all of it can be used. */
static bool killed_meanwhile(struct sandwire_empty_network *network) {
  char path[64];
  pthread_t killer;
  sandwire_empty_network_close(network);
  snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)syscall(SYS_gettid));
  if (access(path, R_OK) != 0) {
    printf("SKIP killed meanwhile: the kernel tells no children\n");
    return true;
  }
  atomic_store(&killing, true);
  if (pthread_create(&killer, NULL, kill_children, path) != 0) {
    return false;
  }
  bool ok = true;
  int killed = 0;
  for (int i = 0; ok && i < 2000; i++) {
    int pair[2];
    char byte = 0;
    const int result = sandwire_empty_network_pair(network, pair);
    if (result == 0) {
      ok = is_named(pair[0]) && is_named(pair[1]) && send(pair[0], "y", 1, 0) == 1 &&
           recv(pair[1], &byte, 1, 0) == 1 && byte == 'y';
      close(pair[0]);
      close(pair[1]);
    } else {
      ok = result == -EAGAIN;
      killed++;
    }
    if (i % 7 == 0) {
      sandwire_empty_network_close(network); /* so that new namespaces are made, too */
    }
  }
  atomic_store(&killing, false);
  pthread_join(killer, NULL);
  printf("%d of 2000 were killed before they had made any\n", killed);
  fflush(stdout);
  return ok && makes_pairs(network);
}

int main(void) {
  struct sandwire_empty_network probe;
  int pair[2];
  sandwire_empty_network_init(&probe, SOCK_STREAM, 1);
  const int possible = sandwire_empty_network_pair(&probe, pair);
  if (possible != 0) {
    printf("SKIP empty network: no namespaces can be made here: %s\n", strerror(-possible));
    CHECK(possible == -EPERM || possible == -EACCES || possible == -ENOSYS || possible == -ENOSPC);
    return report_checks();
  }
  close(pair[0]);
  close(pair[1]);
  sandwire_empty_network_close(&probe);
  pairs_are_of_one_empty_network(SOCK_STREAM);
  pairs_are_of_one_empty_network(SOCK_SEQPACKET);
  one_at_a_time_leaves_nothing_open();
  nobody_hears_of_it();
  in_child("where it is forbidden", where_it_is_forbidden);
  in_child("out of fds", out_of_fds);
  in_child("killed meanwhile", killed_meanwhile);
  if (geteuid() == 0) {
    in_child("after another uid", after_another_uid);
    in_child("without /proc", without_proc);
  } else {
    printf("SKIP after another uid, without /proc: only root can\n");
  }
  return report_checks();
}
