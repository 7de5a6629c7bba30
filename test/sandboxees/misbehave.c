/* misbehave HOW: a program that should call sandboxMeHere() but does something else on its comms, fd 1023. */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"

static void send_header(uint32_t tag, uint64_t length) {
  unsigned char header[SANDWIRE_HEADER_SIZE];
  memcpy(header, &tag, sizeof tag);
  memcpy(header + sizeof tag, &length, sizeof length);
  if (write(SANDWIRE_COMMS_FD, header, sizeof header) != (ssize_t)sizeof header) {
    _exit(90);
  }
}

static void send_fds(size_t count) {
  int fds[64];
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof fds)];
  } control;
  memset(&control, 0, sizeof control);
  for (size_t i = 0; i < count; i++) {
    fds[i] = 0;
  }
  unsigned char barrier[SANDWIRE_HEADER_SIZE] = {0};
  const uint32_t tag = SANDWIRE_TAG_BARRIER; /* a message that has no fd */
  memcpy(barrier, &tag, sizeof tag);
  struct iovec part = {barrier, sizeof barrier};
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  if (sendmsg(SANDWIRE_COMMS_FD, &message, 0) != (ssize_t)sizeof barrier) {
    _exit(91);
  }
}

static void hang(void) {
  for (;;) {
    pause();
  }
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  static const char garbage[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
  if (strcmp(how, "exit") == 0) {
    return 0;
  } else if (strcmp(how, "crash") == 0) {
    __builtin_trap();
  } else if (strcmp(how, "garbage") == 0) {
    if (write(SANDWIRE_COMMS_FD, garbage, sizeof garbage) < 0) {
      return 92;
    }
  } else if (strcmp(how, "length-bomb") == 0) {
    send_header(SANDWIRE_TAG_VERSION, UINT64_C(1) << 63);
  } else if (strcmp(how, "big-version") == 0) {
    send_header(SANDWIRE_TAG_VERSION, 100 << 20);
  } else if (strcmp(how, "truncated") == 0) {
    send_header(SANDWIRE_TAG_VERSION, 9);
    return 0;
  } else if (strcmp(how, "unasked-fd") == 0) {
    send_fds(1);
  } else if (strcmp(how, "many-fds") == 0) {
    send_fds(64);
  } else if (strcmp(how, "bad-version") == 0) {
    send_header(SANDWIRE_TAG_VERSION, 4);
    if (write(SANDWIRE_COMMS_FD, "Vabc", 4) != 4) {
      return 93;
    }
  } else if (strcmp(how, "close") == 0) {
    close(SANDWIRE_COMMS_FD);
  }
  hang(); /* "silent" does nothing else */
}
