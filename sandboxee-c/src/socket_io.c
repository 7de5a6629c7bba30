#include "socket_io.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandwire/comms.h"

/* Room for all fds of one message, and one ucred. */
union control_buffer {
  char bytes[CMSG_SPACE(SANDWIRE_MOST_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
  struct cmsghdr alignment;
};

static void take_fds(const struct cmsghdr *control, size_t size, struct sandwire_arrived_fds *arrived) {
  for (size_t at = 0; at + sizeof(int) <= size && arrived->count < SANDWIRE_MOST_FDS; at += sizeof(int)) {
    memcpy(&arrived->fds[arrived->count++], CMSG_DATA(control) + at, sizeof(int));
  }
}

static void take_control(struct msghdr *message, struct sandwire_arrived_fds *arrived,
                         struct sandwire_credentials *credentials) {
  for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_len < CMSG_LEN(0)) {
      continue;
    }
    size_t size = control->cmsg_len - CMSG_LEN(0);
    if (control->cmsg_type == SCM_RIGHTS) {
      take_fds(control, size, arrived);
    } else if (control->cmsg_type == SCM_CREDENTIALS && size >= sizeof(struct ucred) && credentials) {
      struct ucred ucred;
      memcpy(&ucred, CMSG_DATA(control), sizeof ucred);
      *credentials = (struct sandwire_credentials){.pid = ucred.pid, .uid = ucred.uid, .gid = ucred.gid};
    }
  }
}

ssize_t sandwire_socket_receive_credentials(int socket, void *buffer, size_t size, int flags,
                                            struct sandwire_arrived_fds *arrived,
                                            struct sandwire_credentials *credentials) {
  union control_buffer control;
  struct iovec part = {.iov_base = buffer, .iov_len = size};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  arrived->count = 0;
  if (credentials) {
    *credentials = (struct sandwire_credentials){.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
  }

  ssize_t received;
  do {
    received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    return -errno;
  }
  take_control(&message, arrived, credentials);
  /* There was room for all, so it is this process that can have no more: scm_detach_fds(). */
  return message.msg_flags & MSG_CTRUNC ? -EMFILE : received;
}

ssize_t sandwire_socket_receive(int socket, void *buffer, size_t size, int flags,
                                struct sandwire_arrived_fds *arrived) {
  return sandwire_socket_receive_credentials(socket, buffer, size, flags, arrived, NULL);
}

ssize_t sandwire_socket_send(int socket, const struct iovec *parts, size_t count, int flags, int fd_to_send) {
  ssize_t sent;
  if (fd_to_send < 0 && count == 1) {
    do {
      sent = send(socket, parts[0].iov_base, parts[0].iov_len, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
  }

  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control;
  /* sendmsg does not write to the parts; struct iovec just has no const form. */
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
  if (fd_to_send >= 0) {
    memset(&control, 0, sizeof control); /* the padding travels to the kernel too */
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd_to_send, sizeof fd_to_send);
  }
  do {
    sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

bool sandwire_socket_is_empty(int fd) {
  int domain = 0, waiting = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
         ioctl(fd, FIONREAD, &waiting) == 0 && waiting == 0;
}

void sandwire_socket_keep_urgent(int fd) {
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}
