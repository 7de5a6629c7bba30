/* Plays the host of a conversation. Runs the program given after the options with comms on fd 1023 and
 * follows the lines on standard input:
 *
 *   sandboxee HEX [FDS]   these bytes, with so many fds, must come next
 *   host HEX              send these
 *   host-fd HEX           send these with an fd
 *   rendezvous            take the listener as the supervisor does, and let the one waiting syscall through
 *   hang-up               close comms
 *
 * Options: --rendezvous gives the program fd 1021 and the variable that goes with it; --cwd DIRECTORY.
 * The last line printed is "exit N", "signal N", or "differs: …" and then the program was killed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "socket_io.h"

enum { MAX_BYTES = 64 * 1024, PATIENCE_MS = 10000 };

static pid_t child;
static int comms_end = -1, rendezvous_end = -1;

static void end_replay(const char *why) {
  int status = 0;
  if (why) {
    kill(child, SIGKILL);
  } else {
    /* A client that hangs is a failure too. */
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    if (pidfd >= 0 && poll(&ended, 1, PATIENCE_MS) == 0) {
      why = "the client did not end";
      kill(child, SIGKILL);
    }
  }
  REQUIRE(waitpid(child, &status, 0) == child);
  if (why) {
    printf("differs: %s\n", why);
  } else if (WIFSIGNALED(status)) {
    printf("signal %d\n", WTERMSIG(status));
  } else {
    printf("exit %d\n", WEXITSTATUS(status));
  }
  exit(0);
}

static size_t from_hex(const char *hex, uint8_t *bytes) {
  size_t size = 0;
  unsigned byte;
  for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
    REQUIRE(size < MAX_BYTES);
    bytes[size++] = (uint8_t)byte;
  }
  return size;
}

static void expect_bytes(const uint8_t *expected, size_t size, int expected_fds) {
  static uint8_t met[MAX_BYTES];
  size_t received = 0;
  int fds = 0;
  while (received < size) {
    struct pollfd readable = {.fd = comms_end, .events = POLLIN};
    if (poll(&readable, 1, PATIENCE_MS) != 1) {
      end_replay("the client is silent");
    }
    struct sandwire_arrived_fds arrived;
    ssize_t some = sandwire_socket_receive(comms_end, met + received, size - received, 0, &arrived);
    if (some <= 0) {
      end_replay(NULL); /* it has ended: its exit code says why */
    }
    fds += (int)arrived.count; /* kept open: a listener that is closed ends the notifications */
    received += (size_t)some;
  }
  if (memcmp(met, expected, size) != 0) {
    end_replay("other bytes");
  }
  if (fds != expected_fds) {
    end_replay("other fds");
  }
}

static void play_supervisor(void) {
  int32_t number = -1;
  if (recv(rendezvous_end, &number, sizeof number, 0) != sizeof number) {
    end_replay("no announcement");
  }
  struct pollfd closed = {.fd = rendezvous_end, .events = POLLIN};
  char byte;
  if (poll(&closed, 1, PATIENCE_MS) != 1 || recv(rendezvous_end, &byte, 1, 0) != 0) {
    end_replay("the rendezvous socket was not closed");
  }
  int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  int listener = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  struct seccomp_notif notification = {0};
  if (listener < 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0 ||
      notification.data.nr != SYS_close_range || notification.data.args[0] != (uint64_t)number ||
      notification.data.args[1] != (uint64_t)number || notification.data.args[5] != SANDWIRE_CLOSE_MAGIC) {
    end_replay("not the syscall that waits");
  }
  struct seccomp_notif_resp response = {.id = notification.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response) != 0) {
    end_replay("the answer was not taken");
  }
}

static void start(char **argv, bool with_rendezvous, const char *cwd) {
  int pair[2], rendezvous[2];
  make_pair(pair);
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rendezvous) == 0);
  child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    REQUIRE(dup2(pair[1], SANDWIRE_COMMS_FD) >= 0);
    if (with_rendezvous) {
      REQUIRE(dup2(rendezvous[1], SANDWIRE_RENDEZVOUS_FD) >= 0);
      REQUIRE(setenv(SANDWIRE_RENDEZVOUS_FD_ENV, "1021", 1) == 0);
    }
    REQUIRE(!cwd || chdir(cwd) == 0);
    execv(argv[0], argv);
    _exit(127);
  }
  close(pair[1]);
  close(rendezvous[1]);
  comms_end = pair[0];
  rendezvous_end = rendezvous[0];
}

int main(int argc, char **argv) {
  bool with_rendezvous = false;
  const char *cwd = NULL;
  for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
    if (strcmp(argv[1], "--rendezvous") == 0) {
      with_rendezvous = true;
    } else if (strcmp(argv[1], "--cwd") == 0 && argc > 2) {
      cwd = argv[2];
      argc--, argv++;
    }
  }
  REQUIRE(argc > 1);
  start(argv + 1, with_rendezvous, cwd);

  static char line[2 * MAX_BYTES + 64], hex[2 * MAX_BYTES];
  static uint8_t bytes[MAX_BYTES];
  while (fgets(line, sizeof line, stdin)) {
    char verb[16] = "";
    int fds = 0;
    hex[0] = '\0';
    if (sscanf(line, "%15s %131071s %d", verb, hex, &fds) < 1) {
      continue;
    }
    size_t size = from_hex(hex, bytes);
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    if (strcmp(verb, "sandboxee") == 0) {
      expect_bytes(bytes, size, fds);
    } else if (strcmp(verb, "host") == 0) {
      (void)sandwire_socket_send(comms_end, &part, 1, 0, -1); /* the client may have ended: seen at the end */
    } else if (strcmp(verb, "host-fd") == 0) {
      (void)sandwire_socket_send(comms_end, &part, 1, 0, STDIN_FILENO);
    } else if (strcmp(verb, "rendezvous") == 0) {
      play_supervisor();
    } else if (strcmp(verb, "hang-up") == 0) {
      close(comms_end);
    } else {
      fprintf(stderr, "unknown line: %s", line);
      return 2;
    }
  }
  end_replay(NULL);
}
