/* hold_up HOW: sends its host what makes whoever closes, copies or looks at it wait, and then waits itself.
 * It gets ready before it is under its policy, as no policy lets a socket linger. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "../../sandboxee-c/test/lingering.h"
#include "sandwire/sandwire.h"

enum { MEMORY_SIZE = 256 << 20, EPOLLS = 300, NUMBERS = 300 };

static const char *how;

static int is(const char *name) {
  return strcmp(how, name) == 0;
}

static void send_message(int socket, uint32_t tag, int fd, size_t count, int flags) {
  uint8_t message[SANDWIRE_HEADER_SIZE] = {0};
  memcpy(message, &tag, sizeof tag);
  send_with_fds(socket, message, sizeof message, fd, count, flags);
}

/* A kernel may refuse fds on a standard stream; then it says so there. */
static void try_to_send(int stream, int fd) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control = {{0}};
  struct iovec part = {.iov_base = "and", .iov_len = 3};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  *CMSG_FIRSTHDR(&message) =
      (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
  REQUIRE(sendmsg(stream, &message, 0) == 3 || errno == EPERM);
}

static void send_memory(struct sandwire_comms *comms) {
  struct sandwire_buffer *buffer = sandwire_buffer_create(MEMORY_SIZE);
  REQUIRE(buffer);
  memset(sandwire_buffer_data(buffer), 1, MEMORY_SIZE);
  REQUIRE(sandwire_comms_send_fd(comms, sandwire_buffer_fd(buffer)) == SANDWIRE_OK);
  if (is("memory-being-written")) {
    /* Each write() has the file locked until it is done. */
    for (;;) {
      REQUIRE(pwrite(sandwire_buffer_fd(buffer), sandwire_buffer_data(buffer), MEMORY_SIZE, 0) > 0);
    }
  }
  sandwire_buffer_destroy(buffer);
}

/* As many watched fds as there can be numbers for so many files. */
static void send_epoll(struct sandwire_comms *comms) {
  int outer = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < EPOLLS; i++) {
    int inner = epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(inner >= 0);
    for (int number = 0; number < NUMBERS; number++) {
      int duplicate = fcntl(inner, F_DUPFD_CLOEXEC, 600 + number);
      struct epoll_event event = {.events = EPOLLIN};
      REQUIRE(duplicate >= 0 && epoll_ctl(outer, EPOLL_CTL_ADD, duplicate, &event) == 0);
      close(duplicate);
    }
  }
  REQUIRE(sandwire_comms_send_fd(comms, outer) == SANDWIRE_OK);
  close(outer);
}

/* A child has the lock of a pipe for as long as it lives: it waits within a splice(). */
static void hold_lock(const int ends[2], int kept_end) {
  int other[2];
  make_pair(other);
  close(ends[1 - kept_end]);
  if (kept_end == 1) {
    (void)splice(other[0], NULL, ends[1], NULL, 1, 0); /* nothing ever comes */
  } else {
    while (send(other[0], "filler", 6, MSG_DONTWAIT) > 0) {
    }
    (void)splice(ends[0], NULL, other[0], NULL, 1, 0); /* there is no room */
  }
  _exit(0);
}

static void hold_pipe(struct sandwire_comms *comms, int sent_end) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], "beginning", 9) == 9);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    hold_lock(ends, 1 - sent_end);
  }
  /* If it is too short nobody is held up, and all is well. */
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  REQUIRE(sandwire_comms_send_fd(comms, ends[sent_end]) == SANDWIRE_OK);
  close(ends[0]);
  close(ends[1]);
}

/* Returns whether the lingering end is under way, or was taken: then this process can close its own. */
static bool act(struct sandwire_comms *comms, int lingering, int other_end) {
  if (is("announced")) {
    REQUIRE(sandwire_comms_send_fd(comms, lingering) == SANDWIRE_OK);
  } else if (is("both-ends")) {
    REQUIRE(sandwire_comms_send_fd(comms, lingering) == SANDWIRE_OK &&
            sandwire_comms_send_fd(comms, other_end) == SANDWIRE_OK);
    close(other_end);
  } else if (is("unannounced-1") || is("unannounced-2") || is("unannounced-253")) {
    send_message(SANDWIRE_COMMS_FD, SANDWIRE_TAG_BARRIER, lingering, (size_t)atoi(strchr(how, '-') + 1), 0);
  } else if (is("payload")) {
    const uint64_t length = 1000000;
    const uint32_t tag = SANDWIRE_TAG_BYTES;
    REQUIRE(write(SANDWIRE_COMMS_FD, &tag, 4) == 4 && write(SANDWIRE_COMMS_FD, &length, 8) == 8);
    send_with_fds(SANDWIRE_COMMS_FD, "payload", 7, lingering, 1, 0);
  } else if (is("unread")) {
    for (int i = 0; i < 20; i++) {
      send_message(SANDWIRE_COMMS_FD, SANDWIRE_TAG_FD, lingering, 1, 0);
    }
    REQUIRE(write(1, "all are under way", 17) == 17);
  } else if (is("urgent")) {
    send_with_fds(SANDWIRE_COMMS_FD, "x", 1, lingering, 1, MSG_OOB);
  } else if (is("nested")) {
    int pair[2];
    make_pair(pair);
    send_with_fds(pair[0], "x", 1, lingering, 1, 0);
    REQUIRE(sandwire_comms_send_fd(comms, pair[1]) == SANDWIRE_OK);
    close(pair[0]);
    close(pair[1]);
  } else if (is("stdout") || is("stdin")) {
    int stream = is("stdout") ? 1 : 0;
    REQUIRE(!is("stdout") || write(1, "before ", 7) == 7);
    for (int i = 0; i < 10; i++) {
      try_to_send(stream, lingering);
    }
    return false;
  } else {
    if (is("memory") || is("memory-being-written")) {
      send_memory(comms);
    } else if (is("epoll")) {
      send_epoll(comms);
    } else if (is("pipe-to-read") || is("pipe-to-write")) {
      hold_pipe(comms, is("pipe-to-read") ? 0 : 1);
    }
    return false;
  }
  return true;
}

int main(int argc, char **argv) {
  how = argc > 1 ? argv[1] : "";
  signal(SIGPIPE, SIG_IGN);
  int ends[2] = {-1, -1};
  make_lingering(ends);
  struct sandwire_comms *comms = sandwire_comms_default();
  REQUIRE(comms);
  if (is("handshake-announced")) {
    send_message(SANDWIRE_COMMS_FD, SANDWIRE_TAG_FD, ends[0], 1, 0);
  } else if (is("handshake-unannounced")) {
    send_message(SANDWIRE_COMMS_FD, SANDWIRE_TAG_FD, ends[0], 2, 0);
  }
  if (strncmp(how, "handshake", 9) == 0) {
    close(ends[0]);
    for (;;) {
      pause();
    }
  }
  REQUIRE(sandwire_sandbox_me_here(comms) == SANDWIRE_OK);
  if (act(comms, ends[0], ends[1])) {
    close(ends[0]);
  }
  if (is("stdout")) {
    REQUIRE(send(1, "after", 5, MSG_NOSIGNAL) == 5 || errno == EPIPE);
  }
  REQUIRE(sandwire_comms_send_string(comms, "done") == SANDWIRE_OK || errno == EPIPE);
  for (;;) {
    pause();
  }
}
