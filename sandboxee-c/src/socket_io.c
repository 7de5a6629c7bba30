#include "socket_io.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandwire/comms.h"

/* Room for one fd and one ucred. Alignment leaves room for a few fds more where no ucred comes, so what
 * arrives is counted, never assumed. */
union control_buffer {
  char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
  struct cmsghdr alignment;
};

/* Walks the control messages. Returns how many fds came; the first stays open in *first_fd, others are
 * closed. */
static size_t take_control(struct msghdr *message, int *first_fd, struct sandwire_credentials *credentials) {
  size_t fds = 0;
  for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_len < CMSG_LEN(0)) {
      continue;
    }
    size_t size = control->cmsg_len - CMSG_LEN(0);
    if (control->cmsg_type == SCM_RIGHTS) {
      for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
        int fd;
        memcpy(&fd, CMSG_DATA(control) + at, sizeof fd);
        if (fds++ == 0) {
          *first_fd = fd;
        } else {
          (void)close(fd);
        }
      }
    } else if (control->cmsg_type == SCM_CREDENTIALS && size >= sizeof(struct ucred) && credentials) {
      struct ucred ucred;
      memcpy(&ucred, CMSG_DATA(control), sizeof ucred);
      *credentials = (struct sandwire_credentials){.pid = ucred.pid, .uid = ucred.uid, .gid = ucred.gid};
    }
  }
  return fds;
}

ssize_t sandwire_socket_receive_credentials(int socket, void *buffer, size_t size, int flags,
                                            int *received_fd, struct sandwire_credentials *credentials) {
  union control_buffer control;
  struct iovec part = {.iov_base = buffer, .iov_len = size};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  *received_fd = -1;
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
  size_t fds = take_control(&message, received_fd, credentials);
  if (fds == 0 && (message.msg_flags & MSG_CTRUNC)) {
    return -EMFILE; /* there was room for one, so it is this process that can have no more: scm_detach_fds()
                     */
  }
  /* An fd without a byte cannot be said to belong to a message; a stream socket never delivers one. */
  if (fds > 1 || (message.msg_flags & MSG_CTRUNC) || (fds == 1 && received == 0)) {
    if (*received_fd >= 0) {
      (void)close(*received_fd);
      *received_fd = -1;
    }
    return SANDWIRE_IO_SURPLUS_FD;
  }
  return received;
}

ssize_t sandwire_socket_receive(int socket, void *buffer, size_t size, int flags, int *received_fd) {
  return sandwire_socket_receive_credentials(socket, buffer, size, flags, received_fd, NULL);
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
