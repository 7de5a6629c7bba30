/* The filter, in throw-away processes. The rendezvous is played by this process as the supervisor does it. */
#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"
#include "ring.h"
#include "sandwire/sandwire.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (__u32)offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

/* As every program of a host begins: the marked close of the listener, the magic syscall; then getppid is
 * refused with ENOTTY so that a thread can see the policy, and all else is allowed. */
static const struct sock_filter program[] = {
    LOAD(nr),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 3),
    LOAD(args[5]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDWIRE_CLOSE_MAGIC, 0, 5),
    RETURN(SECCOMP_RET_USER_NOTIF),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDWIRE_MAGIC_SYSCALL, 0, 1),
    RETURN(SECCOMP_RET_ERRNO | SANDWIRE_MAGIC_SANDWIRE_ERRNO),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    RETURN(SECCOMP_RET_ERRNO | ENOTTY),
    RETURN(SECCOMP_RET_ALLOW),
};
static const size_t program_size = sizeof program / sizeof program[0];

static int go;

static void *other_thread(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE)) {
    usleep(1000);
  }
  return syscall(SYS_getppid) == -1 && errno == ENOTTY ? "filtered" : NULL;
}

/* In the child. 0 if all is as it should be, else the number of the step that was not. */
static int be_sandboxed(int rendezvous, bool allow_speculation) {
  pthread_t thread;
  if (dup2(rendezvous, SANDWIRE_RENDEZVOUS_FD) < 0 ||
      pthread_create(&thread, NULL, other_thread, NULL) != 0) {
    return 1;
  }
  close(rendezvous);
  enum sandwire_filter_step step;
  const int listener = sandwire_filter_install_announced(SANDWIRE_RENDEZVOUS_FD, program, program_size,
                                                         allow_speculation, &step);
  if (listener < 0) {
    return 2;
  }
  sandwire_filter_close_listener(listener);
  /* The program's own call just after it has no mark left over from ours. */
  if (syscall(SYS_close_range, listener, listener, 0) != 0 || !sandwire_is_sandboxed()) {
    return 3;
  }
  if (fcntl(listener, F_GETFD) >= 0 || fcntl(SANDWIRE_RENDEZVOUS_FD, F_GETFD) >= 0) {
    return 7;
  }
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  void *result = NULL;
  if (pthread_join(thread, &result) != 0 || !result) {
    return 4; /* the other thread is not under the policy */
  }
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
    return 5;
  }
  int state = prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0);
  if (!allow_speculation && state > 0 && (state & PR_SPEC_PRCTL) && !(state & PR_SPEC_FORCE_DISABLE)) {
    return 6;
  }
  return 0;
}

static void the_rendezvous_hands_over_the_listener(bool allow_speculation) {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(pair[0]);
    _exit(be_sandboxed(pair[1], allow_speculation));
  }
  close(pair[1]);
  int32_t number = -1;
  CHECK_EQUAL(sizeof number, recv(pair[0], &number, sizeof number, 0));
  CHECK_EQUAL(0, recv(pair[0], &number, 1, 0)); /* its close() of the socket: the filter is in force */
  int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  int listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  CHECK(listener >= 0);
  struct seccomp_notif notification = {0};
  CHECK_EQUAL(0, ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification));
  CHECK_EQUAL(SYS_close_range, notification.data.nr);
  CHECK_EQUAL(number, notification.data.args[0]);
  CHECK_EQUAL(number, notification.data.args[1]);
  CHECK_EQUAL(0, notification.data.args[2]);
  CHECK_EQUAL(SANDWIRE_CLOSE_MAGIC, notification.data.args[5]);
  struct seccomp_notif_resp response = {.id = notification.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  CHECK_EQUAL(0, ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(0, WEXITSTATUS(status));
  close(listener);
  close(pidfd);
  close(pair[0]);
}

static void errors_come_before_the_filter(void) {
  enum sandwire_filter_step step = SANDWIRE_FILTER_STEP_NONE;
  CHECK_EQUAL(-EINVAL, sandwire_filter_install_announced(SANDWIRE_RENDEZVOUS_FD, program, 0, true, &step));
  CHECK_EQUAL(SANDWIRE_FILTER_STEP_PROGRAM, step);
  CHECK_EQUAL(-EINVAL, sandwire_filter_install_announced(SANDWIRE_RENDEZVOUS_FD, program, 4097, true, NULL));
  CHECK_EQUAL(-EBADF, sandwire_filter_install_announced(5, program, program_size, true, &step));
  CHECK_EQUAL(-EBADF,
              sandwire_filter_install_announced(SANDWIRE_RENDEZVOUS_FD, program, program_size, true, &step));
  CHECK_EQUAL(SANDWIRE_FILTER_STEP_ANNOUNCE, step);
  for (int i = 0; i <= SANDWIRE_FILTER_STEP_HELPER; i++) {
    CHECK(sandwire_filter_step_name((enum sandwire_filter_step)i));
  }
  /* A program the kernel refuses (it ends without a return). */
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    static const struct sock_filter endless[] = {LOAD(nr)};
    int result = sandwire_filter_install_plain(endless, 1, false, &step);
    _exit(result == -EINVAL && step == SANDWIRE_FILTER_STEP_SECCOMP ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(0, status);
}

/* All its calls. Where the kernel has them they answer EINVAL, EFAULT or EBADF. */
static bool refuses_io_uring(void) {
  for (long number = RING_SETUP; number <= RING_REGISTER; number++) {
    if (syscall(number, -1, NULL, 0, 0, NULL, 0) != -1 || errno != ENOSYS) {
      return false;
    }
  }
  return true;
}

/* In the child. 0 if all is as it should be, else the number of the step that was not. */
static int keep_core_limit(bool forbid_io_uring) {
  struct rlimit before, now, limit = {0, 0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || getrlimit(RLIMIT_CORE, &before) != 0 ||
      sandwire_filter_keep_core_limit(forbid_io_uring) != 0) {
    return 1;
  }
  const long high = 0x100000000;
  if (syscall(SYS_setrlimit, RLIMIT_CORE, &limit) != 0 ||
      syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL) != 0 ||
      syscall(SYS_prlimit64, 0, RLIMIT_CORE, high, NULL) != 0) {
    return 2;
  }
  if (syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, &now) == 0 || errno != EPERM ||
      syscall(SYS_prlimit64, 0, RLIMIT_CORE, high, high) == 0 || errno != EPERM) {
    return 3;
  }
  if (syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &now) != 0 || now.rlim_cur != before.rlim_cur ||
      now.rlim_max != before.rlim_max) {
    return 4;
  }
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur-- == 0 ||
      syscall(SYS_setrlimit, RLIMIT_NOFILE, &limit) != 0 ||
      syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, &now) != 0 || now.rlim_cur != limit.rlim_cur) {
    return 5;
  }
  return forbid_io_uring && !refuses_io_uring() ? 6 : 0;
}

/* In the child. */
static int forbid_io_uring(void) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandwire_filter_forbid_io_uring() != 0) {
    return 1;
  }
  /* The calls before and behind it in number. */
  const bool others = (syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0) == -1 && errno == EBADF) &&
                      (syscall(428 /* open_tree */, -1, "", -1) == -1 && errno != ENOSYS);
  return !refuses_io_uring() ? 2 : !others ? 3 : 0;
}

static void io_uring_is_refused_and_nothing_else(void) {
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    _exit(forbid_io_uring());
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(0, status);
}

static void the_limit_of_core_files_is_kept(bool forbid_io_uring) {
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    _exit(keep_core_limit(forbid_io_uring));
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(0, status);
}

/* In the child: all threads end up under the policy though a helper stays out of it for a while. */
static int be_sandboxed_with_helper(int socket) {
  struct sandwire_comms *comms = sandwire_comms_create(socket);
  pthread_t thread;
  enum sandwire_filter_step step;
  if (!comms || pthread_create(&thread, NULL, other_thread, NULL) != 0) {
    return 1;
  }
  if (sandwire_filter_install_with_helper(comms, program, program_size, false, &step) != 0) {
    return 2;
  }
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  void *result = NULL;
  if (pthread_join(thread, &result) != 0 || !result) {
    return 3;
  }
  errno = 0;
  if (waitpid(-1, NULL, __WALL | WNOHANG) < 0 && errno == ECHILD) {
    return 4; /* there was no helper */
  }
  return sandwire_comms_send_barrier(comms) == SANDWIRE_OK ? 0 : 5;
}

static void a_helper_hands_over_the_listener(void) {
  int pair[2];
  make_pair(pair);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(pair[0]);
    _exit(be_sandboxed_with_helper(pair[1]));
  }
  close(pair[1]);
  struct sandwire_comms *comms = sandwire_comms_create(pair[0]);
  REQUIRE(comms);
  int listener = -1;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(comms, &listener));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(comms, SANDWIRE_LIMITS_APPLIED));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_barrier(comms));
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(0, status);
  close(listener);
  sandwire_comms_destroy(comms);
}

static void a_killed_caller_takes_its_helper_along(void) {
  int pair[2];
  make_pair(pair);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(pair[0]);
    _exit(be_sandboxed_with_helper(pair[1]));
  }
  close(pair[1]);
  struct sandwire_comms *comms = sandwire_comms_create(pair[0]);
  int listener = -1;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(comms, &listener));
  REQUIRE(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
  uint32_t value;
  sandwire_comms_set_timeout(comms, 5000); /* the end comes when nobody has the socket any more */
  CHECK_EQUAL(SANDWIRE_ERROR_CLOSED, sandwire_comms_recv_uint32(comms, &value));
  close(listener);
  sandwire_comms_destroy(comms);
}

/* In the child: under a policy from the start, as after exec. Kills for what the library must not need there.
 */
static int talk_under_policy(int socket, int magic_errno) {
  static const int never[] = {SYS_getsockopt, SYS_fcntl, SYS_ppoll, SYS_openat};
  static const int not_in_sandbox2[] = {SYS_sendto, SYS_sendmsg, SYS_recvfrom, SYS_recvmsg};
  static const int not_in_ours[] = {SYS_read, SYS_write, SYS_readv, SYS_writev};
  const int *denied = magic_errno == SANDWIRE_MAGIC_ERRNO ? not_in_sandbox2 : not_in_ours;
  struct sock_filter rules[32];
  size_t count = 0;
  rules[count++] = (struct sock_filter)LOAD(nr);
  for (size_t i = 0; i < 8; i++) {
    int nr = i < 4 ? never[i] : denied[i - 4];
    rules[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)nr, 0, 1);
    rules[count++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
  }
  rules[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDWIRE_MAGIC_SYSCALL, 0, 1);
  rules[count++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | (__u32)magic_errno);
  rules[count++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
  enum sandwire_filter_step step;
  if (dup2(socket, SANDWIRE_COMMS_FD) < 0 || setenv(SANDWIRE_FD_MAPPINGS_ENV, "in,0", 1) != 0 ||
      sandwire_filter_install_plain(rules, count, true, &step) != 0) {
    return 1;
  }
  struct sandwire_comms *comms = sandwire_comms_default();
  struct sandwire_client *client = sandwire_client_create(comms);
  static char bytes[1 << 20];
  size_t size;
  if (!comms || !client || sandwire_client_mapped_fd(client, "in") != 0) {
    return 2;
  }
  if (sandwire_comms_recv_bytes(comms, bytes, sizeof bytes, &size) != SANDWIRE_OK ||
      sandwire_comms_send_bytes(comms, bytes, size) != SANDWIRE_OK) {
    return 3;
  }
  return sandwire_comms_send_uint32(comms, (uint32_t)size) == SANDWIRE_OK ? 0 : 4;
}

static void comms_suits_the_sandbox_it_is_in(int magic_errno) {
  static const size_t sizes[] = {0, 5, 1012, 1013, 100000, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    int pair[2];
    make_pair(pair);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      _exit(talk_under_policy(pair[1], magic_errno));
    }
    close(pair[1]);
    struct sandwire_comms *comms = sandwire_comms_create(pair[0]);
    char *bytes = malloc(sizes[i] + 1);
    REQUIRE(comms && bytes);
    memset(bytes, 'b', sizes[i] + 1);
    void *back = NULL;
    size_t size = 0;
    uint32_t told = 0;
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_bytes(comms, bytes, sizes[i]));
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_bytes_alloc(comms, &back, &size));
    CHECK(back && size == sizes[i] && memcmp(back, bytes, size) == 0);
    CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_uint32(comms, &told));
    CHECK_EQUAL(size, told);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK_EQUAL(0, status);
    free(back);
    free(bytes);
    sandwire_comms_destroy(comms);
  }
}

/* In the child: where plain data goes by read() and write(), fds still pass. */
static int pass_fd_under_policy(int socket) {
  static const struct sock_filter foreign[] = {
      LOAD(nr),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDWIRE_MAGIC_SYSCALL, 0, 1),
      RETURN(SECCOMP_RET_ERRNO | SANDWIRE_MAGIC_ERRNO),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_recvfrom, 0, 1),
      RETURN(SECCOMP_RET_KILL_PROCESS),
      RETURN(SECCOMP_RET_ALLOW),
  };
  enum sandwire_filter_step step;
  if (dup2(socket, SANDWIRE_COMMS_FD) < 0 || sandwire_filter_install_plain(foreign, 7, true, &step) != 0) {
    return 1;
  }
  struct sandwire_comms *comms = sandwire_comms_default();
  int fd = -1;
  uint32_t value = 0;
  char text[8];
  if (!comms || sandwire_comms_recv_uint32(comms, &value) != SANDWIRE_OK ||
      sandwire_comms_recv_fd(comms, &fd) != SANDWIRE_OK || sandwire_comms_send_fd(comms, fd) != SANDWIRE_OK) {
    return 2;
  }
  /* A call that wants an fd leaves another message as it is, and an fd that read() has eaten is missed. */
  if (sandwire_comms_recv_fd(comms, &fd) != SANDWIRE_ERROR_TAG_MISMATCH ||
      sandwire_comms_recv_string(comms, text, sizeof text, NULL) != SANDWIRE_OK) {
    return 3;
  }
  return sandwire_comms_recv_uint32(comms, &value) == SANDWIRE_ERROR_TAG_MISMATCH &&
                 sandwire_comms_recv_fd(comms, &fd) == SANDWIRE_ERROR_NO_FD
             ? 0
             : 4;
}

static void fds_pass_in_a_foreign_sandbox(void) {
  int pair[2], fd = -1, status = -1;
  make_pair(pair);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    _exit(pass_fd_under_policy(pair[1]));
  }
  close(pair[1]);
  struct sandwire_comms *comms = sandwire_comms_create(pair[0]);
  REQUIRE(comms);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(comms, 1));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(comms, 0));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_string(comms, "text"));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_fd(comms, 0));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_fd(comms, &fd));
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK_EQUAL(0, status);
  close(fd);
  sandwire_comms_destroy(comms);
}

int main(void) {
  fds_pass_in_a_foreign_sandbox();
  a_helper_hands_over_the_listener();
  a_killed_caller_takes_its_helper_along();
  comms_suits_the_sandbox_it_is_in(SANDWIRE_MAGIC_ERRNO);
  comms_suits_the_sandbox_it_is_in(SANDWIRE_MAGIC_SANDWIRE_ERRNO);
  the_rendezvous_hands_over_the_listener(false);
  the_rendezvous_hands_over_the_listener(true);
  errors_come_before_the_filter();
  the_limit_of_core_files_is_kept(false);
  the_limit_of_core_files_is_kept(true);
  io_uring_is_refused_and_nothing_else();
  return report_checks();
}
