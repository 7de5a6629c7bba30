/* lie HOW: a fork server whose answers or children do what they should not.
 *   garbage         answers with bytes that are no message
 *   no-fd           answers with a version and a number
 *   file            answers with a version and an fd that is no socket
 *   sandbox2        no lie: answers as sandbox2's own fork servers do, with the set-up socket alone; the
 * child takes comms, sends its credentials, sandboxes itself, and ends with 9 closes          closes the
 * channel in the place of an answer end             the child ends at once hang            the child does
 * nothing nonsense        the child sends bytes that are no message number          the child sends a number
 *   fd              the child sends an fd
 *   step            the child tells of a failure of a step that does not exist
 *   stay            the child sends its credentials from outside of the sandbox
 *   orphan          the same, when it is the supervisor's own child
 *   init            the child enters, and claims to be the sandbox's init
 *   parent          the child sends its credentials from the sandbox while the process that led it in lives
 * on leave           the child enters, and leaves the network namespace again die-inside      the child
 * enters, and ends before it says anything */
#include <entrance.h>
#include <poll.h>
#include <privileges.h>
#include <protobuf.h>
#include <sandwire/sandwire.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char version[] = SANDWIRE_VERSION_IDENTITY "V20260702";
static const char *how;

static int is(const char *name) {
  return strcmp(how, name) == 0;
}

static void send_pid(int socket, pid_t pid) {
  unsigned char header[SANDWIRE_HEADER_SIZE] = {0};
  const uint32_t tag = SANDWIRE_TAG_CREDS;
  memcpy(header, &tag, sizeof tag);
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(struct ucred))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {header, sizeof header};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.header = (struct cmsghdr){
      .cmsg_len = CMSG_LEN(sizeof(struct ucred)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS};
  struct ucred forged = {.pid = pid, .uid = getuid(), .gid = getgid()};
  memcpy(CMSG_DATA(&control.header), &forged, sizeof forged);
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    _exit(1);
  }
}

_Noreturn static void wait_for_the_end(void) {
  for (;;) {
    pause();
  }
}

/* In the sandbox. */
_Noreturn static void lie_inside(struct sandwire_comms *setup, int parent_pidfd) {
  if (is("die-inside")) {
    _exit(0);
  }
  if (is("leave") && unshare(CLONE_NEWNET) != 0) {
    _exit(1);
  }
  if (sandwire_become_inside_user(false) != 0) { /* the uid must be one that this namespace has */
    _exit(1);
  }
  struct pollfd parent = {.fd = parent_pidfd, .events = POLLIN};
  while (!is("parent") && poll(&parent, 1, -1) < 0) {
  }
  send_pid(sandwire_comms_fd(setup), is("init") ? 1 : getpid());
  wait_for_the_end();
}

_Noreturn static void enter(struct sandwire_comms *setup) {
  unsigned char bytes[8192];
  int pidfd = -1;
  if (sandwire_comms_recv_protobuf(setup, bytes, sizeof bytes, NULL) != SANDWIRE_OK ||
      sandwire_comms_recv_fd(setup, &pidfd) != SANDWIRE_OK) {
    _exit(1);
  }
  int own_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  pid_t pid = own_pidfd < 0 ? -1 : sandwire_enter_sandbox(pidfd, false);
  if (pid == 0) {
    lie_inside(setup, own_pidfd);
  }
  if (is("parent")) {
    wait_for_the_end();
  }
  _exit(pid < 0);
}

_Noreturn static void be_sandbox2(struct sandwire_comms *setup) {
  int fd = -1;
  struct sandwire_comms *comms = NULL;
  if (sandwire_comms_recv_fd(setup, &fd) != SANDWIRE_OK || (comms = sandwire_comms_create(fd)) == NULL ||
      sandwire_comms_send_credentials(setup) != SANDWIRE_OK) {
    _exit(1);
  }
  sandwire_comms_destroy(setup);
  if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK || sandwire_comms_send_uint32(comms, 9) != SANDWIRE_OK) {
    _exit(2);
  }
  _exit(9);
}

_Noreturn static void lie_as_child(struct sandwire_comms *setup) {
  int fd = sandwire_comms_fd(setup);
  if (is("sandbox2")) {
    be_sandbox2(setup);
  } else if (is("end")) {
    _exit(0);
  } else if (is("nonsense")) {
    const char text[] = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
    send(fd, text, sizeof text, MSG_NOSIGNAL);
  } else if (is("number")) {
    sandwire_comms_send_uint32(setup, 42);
  } else if (is("fd")) {
    sandwire_comms_send_fd(setup, 0);
  } else if (is("step")) {
    unsigned char bytes[64];
    struct sandwire_protobuf_writer message;
    sandwire_protobuf_writer_init(&message, bytes, sizeof bytes);
    sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_FAILURE_STEP, 77);
    sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_FAILURE_ERRNO, UINT64_MAX);
    sandwire_protobuf_put_bytes(&message, SANDWIRE_ENTRANCE_FAILURE_DETAIL, "a made-up step", 14);
    sandwire_comms_send_protobuf(setup, bytes, message.size);
  } else if (is("stay")) {
    send_pid(fd, getpid());
  } else if (is("orphan")) {
    pid_t parent = getpid();
    if (fork() != 0) {
      _exit(0);
    }
    while (getppid() == parent) {
      usleep(1000);
    }
    send_pid(fd, getpid());
  } else if (!is("hang")) {
    enter(setup);
  }
  wait_for_the_end();
}

static void answer(struct sandwire_comms *comms) {
  int pair[2];
  if (is("garbage")) {
    const char text[] = "this is no message of the protocol";
    send(sandwire_comms_fd(comms), text, sizeof text, MSG_NOSIGNAL);
    return;
  }
  if (is("closes")) {
    shutdown(sandwire_comms_fd(comms), SHUT_RDWR);
    return;
  }
  const int on = 1;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
      setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    exit(1);
  }
  if (!is("sandbox2")) {
    sandwire_comms_send_tlv(comms, SANDWIRE_TAG_VERSION, version, strlen(version));
  }
  if (is("no-fd")) {
    sandwire_comms_send_uint32(comms, 3);
    return;
  }
  sandwire_comms_send_fd(comms, is("file") ? 0 : pair[0]);
  close(pair[0]);
  if (fork() == 0) {
    close(sandwire_comms_fd(comms));
    lie_as_child(sandwire_comms_create(pair[1]));
  }
  close(pair[1]);
}

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  how = argc > 1 ? argv[1] : "";
  signal(SIGCHLD, SIG_IGN);
  unsigned char request[1024];
  while (sandwire_comms_recv_protobuf(comms, request, sizeof request, NULL) == SANDWIRE_OK) {
    answer(comms);
  }
  if (is("closes")) {
    wait_for_the_end(); /* the end of its channel is no reason for it to end */
  }
  return 0; /* with children that still wait */
}
