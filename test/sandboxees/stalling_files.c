/* stalling_files SOCKET: no sandboxee. Has a file system of its own, in namespaces of its own, that answers
 * what it takes to open a file, and after that nothing. Sends the open file on the socket, an fd that it
 * inherits, and ends, with the file system, when that is closed. Exit code 77: there can be no such file
 * system here. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"
#include "socket_io.h"

enum { UNAVAILABLE = 77, FILE_NODE = 2, PATIENCE_SECONDS = 120 };

static void answer(int fuse, const struct fuse_in_header *request, const void *body, size_t size) {
  struct fuse_out_header header = {.len = (uint32_t)(sizeof header + size), .unique = request->unique};
  struct iovec parts[] = {{&header, sizeof header}, {(void *)(uintptr_t)body, size}};
  if (writev(fuse, parts, 2) < 0 && errno != ENOENT) {
    exit(1);
  }
}

static struct fuse_attr attributes_of(uint64_t node) {
  return (struct fuse_attr){.ino = node,
                            .mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666,
                            .nlink = 1,
                            .size = 4096,
                            .uid = getuid(),
                            .gid = getgid(),
                            .blksize = 4096};
}

static void serve(int fuse, const struct fuse_in_header *request) {
  switch (request->opcode) {
    case FUSE_INIT: {
      const struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                        .minor = FUSE_KERNEL_MINOR_VERSION,
                                        .max_write = 4096,
                                        .max_background = 1};
      answer(fuse, request, &out, sizeof out);
      break;
    }
    case FUSE_LOOKUP: {
      /* What is known of the file is good for no time at all: whoever wants to know must ask again. */
      const struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = attributes_of(FILE_NODE)};
      answer(fuse, request, &out, sizeof out);
      break;
    }
    case FUSE_OPEN: {
      const struct fuse_open_out out = {.fh = 1};
      answer(fuse, request, &out, sizeof out);
      break;
    }
    case FUSE_GETATTR: {
      if (request->nodeid != FUSE_ROOT_ID) {
        break;
      }
      const struct fuse_attr_out out = {.attr = attributes_of(FUSE_ROOT_ID)};
      answer(fuse, request, &out, sizeof out);
      break;
    }
    default: /* FUSE_FLUSH, FUSE_READ, FUSE_GETATTR of the file: never */
      break;
  }
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) {
    exit(UNAVAILABLE);
  }
  close(fd);
}

static void enter_namespaces(void) {
  char map[64];
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (uid == 0) {
    if (unshare(CLONE_NEWNS) != 0) {
      exit(UNAVAILABLE);
    }
  } else {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      exit(UNAVAILABLE);
    }
    snprintf(map, sizeof map, "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
  }
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
    exit(UNAVAILABLE);
  }
}

static void send_file(int socket) {
  uint8_t message[SANDWIRE_HEADER_SIZE] = {0};
  const uint32_t tag = SANDWIRE_TAG_FD;
  memcpy(message, &tag, sizeof tag);
  struct iovec part = {message, sizeof message};
  int file = open("/tmp/file", O_RDWR | O_CLOEXEC);
  if (file < 0 || sandwire_socket_send(socket, &part, 1, 0, file) != (ssize_t)sizeof message) {
    perror("the file");
    _exit(1);
  }
  /* As a process ends its files are flushed, which here would take for ever. */
  kill(getpid(), SIGSTOP);
}

int main(int argc, char **argv) {
  int socket = argc > 1 ? atoi(argv[1]) : -1;
  int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fuse < 0) {
    return UNAVAILABLE;
  }
  enter_namespaces();
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", fuse,
           geteuid(), getegid());
  if (mount("stalling", "/tmp", "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
    return UNAVAILABLE;
  }
  pid_t sender = fork();
  if (sender == 0) {
    close(fuse); /* it ends the file system, and so must go with the server */
    send_file(socket);
  }
  alarm(PATIENCE_SECONDS);
  static char request[65536];
  struct pollfd watched[] = {{.fd = fuse, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
  while (poll(watched, 2, -1) > 0) {
    if (watched[1].revents) {
      break; /* whoever wanted it has gone */
    }
    ssize_t size = read(fuse, request, sizeof request);
    if (size < (ssize_t)sizeof(struct fuse_in_header)) {
      break;
    }
    serve(fuse, (const struct fuse_in_header *)request);
  }
  close(fuse); /* all that waits is told that the file system has gone */
  kill(sender, SIGKILL);
  return waitpid(sender, NULL, 0) == sender ? 0 : 1;
}
