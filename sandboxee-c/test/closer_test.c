/* Nothing here depends on how fast it goes: what would linger does so for LINGER_SECONDS, which is far more
 * than the whole test may take. */
#include "sandwire/closer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "check.h"
#include "lingering.h"
#include "socket_io.h"
#include "wire_bytes.h"

enum { PATIENCE_MS = 60000, PAUSE_MS = 5 };

static size_t count_entries(const char *path) {
  size_t count = 0;
  DIR *directory = opendir(path);
  REQUIRE(directory);
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    count += entry->d_name[0] != '.';
  }
  closedir(directory);
  return count;
}

static size_t threads(void) {
  return count_entries("/proc/self/task");
}

static size_t open_fds(void) {
  return count_entries("/proc/self/fd");
}

static bool becomes(size_t (*count)(void), size_t expected) {
  for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
    if (count() == expected) {
      return true;
    }
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  }
  fprintf(stderr, "still %zu, not %zu\n", count(), expected);
  return false;
}

/* All that was given to the closer is closed, and its threads are gone. */
static void check_all_done(struct sandwire_closer *closer, size_t threads_before, size_t fds_before) {
  sandwire_closer_destroy(closer);
  CHECK(becomes(threads, threads_before));
  CHECK(becomes(open_fds, fds_before));
}

static struct sandwire_closer *make_closer(void) {
  struct sandwire_closer *closer = sandwire_closer_create();
  REQUIRE(closer);
  return closer;
}

static void what_lingers_is_closed_without_waiting(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2];
  ssize_t taken = make_lingering(ends);
  sandwire_closer_close(closer, ends[0]);
  CHECK(becomes(open_fds, fds_before + 1));
  check_all_done(closer, threads_before, fds_before + 1);
  /* Nothing was lost of what it had to send. */
  char bytes[4096];
  ssize_t received, all = 0;
  while ((received = read(ends[1], bytes, sizeof bytes)) > 0) {
    all += received;
  }
  CHECK_EQUAL(0, received);
  CHECK_EQUAL(taken, all);
  close(ends[1]);
}

static void what_lingers_in_a_queue_in_a_queue_is_closed_without_waiting(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2], inner[2], outer[2];
  make_lingering(ends);
  make_pair(inner);
  make_pair(outer);
  send_with_fds(inner[0], "x", 1, ends[0], 1, 0);
  send_with_fds(outer[0], "x", 1, inner[1], 1, 0);
  close(ends[0]);
  close(inner[1]);
  close(inner[0]);
  sandwire_closer_close(closer, outer[1]);
  close(outer[0]);
  check_all_done(closer, threads_before, fds_before + 1);
  close(ends[1]);
}

static struct sandwire_comms *make_guarded(struct sandwire_closer *closer, int *peer) {
  int pair[2];
  make_pair(pair);
  struct sandwire_comms *comms = sandwire_comms_create(pair[1]);
  REQUIRE(comms);
  sandwire_comms_set_closer(comms, closer);
  *peer = pair[0];
  return comms;
}

static void unannounced_fds_hold_up_no_receive(void) {
  static const size_t counts[] = {1, 2, SANDWIRE_MOST_FDS};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    size_t threads_before = threads(), fds_before = open_fds();
    struct sandwire_closer *closer = make_closer();
    int ends[2], peer;
    make_lingering(ends);
    struct sandwire_comms *comms = make_guarded(closer, &peer);
    uint8_t barrier[SANDWIRE_HEADER_SIZE];
    put_header(barrier, SANDWIRE_TAG_BARRIER, 0);
    send_with_fds(peer, barrier, sizeof barrier, ends[0], counts[i], 0);
    close(ends[0]);
    CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_barrier(comms));
    sandwire_comms_destroy(comms);
    close(peer);
    check_all_done(closer, threads_before, fds_before + 1);
    close(ends[1]);
  }
}

static void fds_in_a_payload_hold_up_no_receive(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2], peer;
  make_lingering(ends);
  struct sandwire_comms *comms = make_guarded(closer, &peer);
  uint8_t beginning[SANDWIRE_HEADER_SIZE + 1] = {0};
  put_header(beginning, SANDWIRE_TAG_BYTES, 100);
  REQUIRE(send(peer, beginning, sizeof beginning, 0) == sizeof beginning);
  send_with_fds(peer, "more", 4, ends[0], 1, 0);
  close(ends[0]);
  uint8_t payload[100];
  CHECK_EQUAL(SANDWIRE_ERROR_SURPLUS_FD, sandwire_comms_recv_bytes(comms, payload, sizeof payload, NULL));
  sandwire_comms_destroy(comms);
  close(peer);
  check_all_done(closer, threads_before, fds_before + 1);
  close(ends[1]);
}

static void an_announced_fd_received_as_something_else_holds_up_nothing(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2], peer;
  make_lingering(ends);
  struct sandwire_comms *comms = make_guarded(closer, &peer);
  uint8_t message[SANDWIRE_HEADER_SIZE];
  put_header(message, SANDWIRE_TAG_FD, 0);
  send_with_fds(peer, message, sizeof message, ends[0], 1, 0);
  close(ends[0]);
  size_t size = 1;
  uint8_t payload[1];
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_tlv(comms, SANDWIRE_TAG_FD, payload, sizeof payload, &size));
  CHECK_EQUAL(0, size);
  sandwire_comms_destroy(comms);
  close(peer);
  check_all_done(closer, threads_before, fds_before + 1);
  close(ends[1]);
}

static void an_urgent_byte_with_an_fd_holds_up_no_receive(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2], peer;
  make_lingering(ends);
  struct sandwire_comms *comms = make_guarded(closer, &peer);
  send_with_fds(peer, "x", 1, ends[0], 1, MSG_OOB);
  close(ends[0]);
  sandwire_comms_set_timeout(comms, 10);
  CHECK(sandwire_comms_recv_barrier(comms) != SANDWIRE_OK);
  sandwire_comms_destroy(comms);
  close(peer);
  check_all_done(closer, threads_before, fds_before + 1);
  close(ends[1]);
}

static void comms_with_messages_unread_are_destroyed_without_waiting(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int ends[2], peer;
  make_lingering(ends);
  struct sandwire_comms *comms = make_guarded(closer, &peer);
  uint8_t message[SANDWIRE_HEADER_SIZE];
  put_header(message, SANDWIRE_TAG_FD, 0);
  for (int i = 0; i < 20; i++) {
    send_with_fds(peer, message, sizeof message, ends[0], 1, 0);
  }
  close(ends[0]);
  uint32_t tag = 0;
  CHECK_EQUAL(SANDWIRE_OK,
              sandwire_comms_peek_tag(comms, &tag)); /* one is in the reader, the others are not */
  sandwire_comms_destroy(comms);
  check_all_done(closer, threads_before, fds_before + 2);
  CHECK(send(peer, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
  close(peer);
  close(ends[1]);
}

static void who_was_not_accepted_holds_up_no_listener(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  char name[64];
  snprintf(name, sizeof name, "@sandwire-closer-test-%d", (int)getpid());
  struct sandwire_listener *listener = sandwire_listen(name);
  REQUIRE(listener);
  sandwire_listener_set_closer(listener, closer);
  struct sandwire_comms *first = sandwire_comms_connect(name, -1), *others[3];
  struct sandwire_comms *accepted = sandwire_listener_accept(listener, -1);
  int ends[2];
  make_lingering(ends);
  for (size_t i = 0; i < 3; i++) {
    others[i] = sandwire_comms_connect(name, -1);
    REQUIRE(others[i] && sandwire_comms_send_fd(others[i], ends[0]) == SANDWIRE_OK);
  }
  REQUIRE(first && accepted && sandwire_comms_send_fd(first, ends[0]) == SANDWIRE_OK);
  close(ends[0]);
  sandwire_listener_destroy(listener);
  sandwire_comms_destroy(accepted);
  sandwire_comms_destroy(first);
  for (size_t i = 0; i < 3; i++) {
    sandwire_comms_destroy(others[i]);
  }
  check_all_done(closer, threads_before, fds_before + 1);
  close(ends[1]);
}

/* Pipes whose lock is held by a splice() that waits for ever: what closes their last end waits with it. */
enum { LOCKED = 20 };

static void what_waits_does_not_hold_up_the_rest(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int silent[2], pipes[LOCKED][2];
  make_pair(silent);
  pid_t holders[LOCKED];
  for (int i = 0; i < LOCKED; i++) {
    REQUIRE(pipe2(pipes[i], O_CLOEXEC) == 0);
    holders[i] = fork();
    if (holders[i] == 0) {
      close(pipes[i][0]);
      (void)splice(silent[0], NULL, pipes[i][1], NULL, 1, 0);
      _exit(0);
    }
    close(pipes[i][1]);
  }
  nanosleep(&(struct timespec){.tv_nsec = 200000000},
            NULL); /* if it is too short nothing is held, and all is well */
  const int few = 5;
  for (int i = 0; i < few; i++) {
    sandwire_closer_close(closer, pipes[i][0]);
  }
  int ends[2];
  make_lingering(ends);
  sandwire_closer_close(closer, ends[0]);
  CHECK(becomes(open_fds, fds_before + 2 + (LOCKED - few) + 1));
  /* More than can wait at once: those stay open until the others are through. */
  for (int i = few; i < LOCKED; i++) {
    sandwire_closer_close(closer, pipes[i][0]);
  }
  CHECK(threads() <= threads_before + 2 * 16);
  for (int i = 0; i < LOCKED; i++) {
    REQUIRE(kill(holders[i], SIGKILL) == 0 && waitpid(holders[i], NULL, 0) == holders[i]);
  }
  check_all_done(closer, threads_before, fds_before + 3);
  close(silent[0]);
  close(silent[1]);
  close(ends[1]);
}

/* A thread that waits as it ends holds what it closes, and no other fd of the process. */
static void what_waits_keeps_nothing_else_open(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  int silent[2], locked[2], pair[2], other[2];
  make_pair(silent);
  REQUIRE(pipe2(locked, O_CLOEXEC) == 0);
  pid_t holder = fork();
  if (holder == 0) {
    close(locked[0]);
    (void)splice(silent[0], NULL, locked[1], NULL, 1, 0);
    _exit(0);
  }
  close(locked[1]);
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  REQUIRE(pipe2(other, O_CLOEXEC) == 0);
  make_pair(pair);
  send_with_fds(pair[0], "x", 1, locked[0], 1, 0);
  close(locked[0]);
  sandwire_closer_close(closer, pair[1]);
  REQUIRE(becomes(open_fds, fds_before + 2 + 2 + 1));
  close(other[1]);
  struct pollfd end = {.fd = other[0], .events = POLLIN};
  CHECK(poll(&end, 1, PATIENCE_MS) == 1 && (end.revents & POLLHUP));
  REQUIRE(kill(holder, SIGKILL) == 0 && waitpid(holder, NULL, 0) == holder);
  close(other[0]);
  close(pair[0]);
  check_all_done(closer, threads_before, fds_before + 2);
  close(silent[0]);
  close(silent[1]);
}

static void buffers_of_any_size_go_without_waiting(void) {
  size_t threads_before = threads(), fds_before = open_fds();
  struct sandwire_closer *closer = make_closer();
  struct sandwire_buffer *buffer = sandwire_buffer_create((64 << 20) + 4096);
  REQUIRE(buffer);
  memset(sandwire_buffer_data(buffer), 1, sandwire_buffer_size(buffer));
  uint8_t *data = sandwire_buffer_data(buffer), *end = data + sandwire_buffer_size(buffer);
  sandwire_closer_destroy_buffer(closer, buffer);
  sandwire_closer_destroy_buffer(closer, NULL);
  check_all_done(closer, threads_before, fds_before);
  unsigned char resident;
  for (uint8_t *page = data; page < end; page += 4096) {
    if (mincore(page, 4096, &resident) == 0 || errno != ENOMEM) {
      CHECK(!"still mapped");
      return;
    }
  }
  CHECK(data < end);
}

static void in_a_child(void (*work)(void)) {
  pid_t child = fork();
  if (child == 0) {
    checks_passed = checks_failed = 0;
    work();
    _exit(checks_failed > 0);
  }
  int status = 0;
  REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void without_threads(void) {
  /* Root has no such limit. */
  REQUIRE(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
  const struct rlimit none = {0, 0};
  REQUIRE(setrlimit(RLIMIT_NPROC, &none) == 0);
  errno = 0;
  CHECK(sandwire_closer_create() == NULL);
  CHECK_EQUAL(EAGAIN, errno);
}

/* The first thread was made, and closes what it is given, if need be without another. */
static void without_further_threads(void) {
  size_t fds_before = open_fds();
  int ends[2];
  make_lingering(ends);
  struct sandwire_closer *closer = make_closer();
  REQUIRE(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
  const struct rlimit none = {0, 0};
  REQUIRE(setrlimit(RLIMIT_NPROC, &none) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
  sandwire_closer_close(closer, ends[0]);
  check_all_done(closer, 1, fds_before + 1);
}

/* As in a container whose profile forbids pidfd_getfd(). */
static void without_pidfd_getfd(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {.len = sizeof code / sizeof code[0], .filter = code};
  REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
  what_lingers_is_closed_without_waiting();
}

static void signals_go_to_others(void) {
  size_t threads_before = threads();
  struct sandwire_closer *closer = make_closer();
  sigset_t before, after;
  REQUIRE(sigprocmask(SIG_BLOCK, NULL, &before) == 0);
  int pair[2];
  make_pair(pair);
  sandwire_closer_close(closer, pair[0]);
  sandwire_closer_close(closer, pair[1]);
  REQUIRE(sigprocmask(SIG_BLOCK, NULL, &after) == 0);
  for (int signal = 1; signal < NSIG; signal++) {
    CHECK_EQUAL(sigismember(&before, signal), sigismember(&after, signal));
  }
  DIR *tasks = opendir("/proc/self/task");
  REQUIRE(tasks);
  size_t looked_at = 0;
  for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid()) {
      continue;
    }
    char path[300], line[200];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    FILE *status = fopen(path, "re");
    unsigned long long blocked = 0;
    while (status && fgets(line, sizeof line, status)) {
      if (sscanf(line, "SigBlk: %llx", &blocked) == 1) {
        /* All but SIGKILL, SIGSTOP and the two the C library keeps for itself. */
        CHECK((blocked | 1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1) | 3ULL << 31 | 1ULL << 33) == ~0ULL);
        looked_at++;
      }
    }
    if (status) {
      fclose(status);
    }
  }
  closedir(tasks);
  CHECK(looked_at >= 1);
  sandwire_closer_destroy(closer);
  CHECK(becomes(threads, threads_before));
}

int main(void) {
  what_lingers_is_closed_without_waiting();
  what_lingers_in_a_queue_in_a_queue_is_closed_without_waiting();
  unannounced_fds_hold_up_no_receive();
  fds_in_a_payload_hold_up_no_receive();
  an_announced_fd_received_as_something_else_holds_up_nothing();
  an_urgent_byte_with_an_fd_holds_up_no_receive();
  comms_with_messages_unread_are_destroyed_without_waiting();
  who_was_not_accepted_holds_up_no_listener();
  what_waits_does_not_hold_up_the_rest();
  what_waits_keeps_nothing_else_open();
  buffers_of_any_size_go_without_waiting();
  signals_go_to_others();
  in_a_child(without_threads);
  in_a_child(without_further_threads);
  in_a_child(without_pidfd_getfd);
  sandwire_closer_destroy(NULL);
  return report_checks();
}
