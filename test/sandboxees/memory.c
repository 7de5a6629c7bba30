/* memory KIND: sends, on fd 3 or else on comms (fd 1023), an Fd message with memory that a buffer must not
 * have: unsealed, read-only, frozen (sealed against writing), empty, large (1 TiB, unsealed), huge-pages,
 * shrunk (1 MiB, truncated to nothing once it is sent, if the kernel allows it). Then waits for the end of
 * comms. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"
#include "socket_io.h"

enum { SIZE = 1 << 20 };

static int make(const char *kind) {
  const int huge = strcmp(kind, "huge-pages") == 0;
  int fd = memfd_create("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0));
  const int empty = strcmp(kind, "empty") == 0, large = strcmp(kind, "large") == 0;
  off_t size = empty                         ? 0
               : large                       ? (off_t)1 << 40
               : huge                        ? 2 << 20
               : strcmp(kind, "frozen") == 0 ? 4096
                                             : SIZE;
  if (fd < 0 || ftruncate(fd, size) != 0) {
    return -1;
  }
  if (strcmp(kind, "frozen") == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) != 0) {
    return -1;
  }
  if ((strcmp(kind, "read-only") == 0 || empty || huge) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    return -1;
  }
  if (strcmp(kind, "read-only") == 0) {
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reopened = open(path, O_RDONLY | O_CLOEXEC);
    close(fd);
    return reopened;
  }
  return fd;
}

int main(int argc, char **argv) {
  const char *kind = argc > 1 ? argv[1] : "";
  int channel = fcntl(SANDWIRE_COMMS_FD, F_GETFD) >= 0 ? SANDWIRE_COMMS_FD : 3;
  int fd = make(kind);
  unsigned char header[SANDWIRE_HEADER_SIZE] = {0};
  const uint32_t tag = SANDWIRE_TAG_FD;
  memcpy(header, &tag, sizeof tag);
  const struct iovec part = {header, sizeof header};
  if (fd < 0 || sandwire_socket_send(channel, &part, 1, 0, fd) != (ssize_t)sizeof header) {
    return 1;
  }
  if (strcmp(kind, "shrunk") == 0 && ftruncate(fd, 0) != 0) {
    return 2;
  }
  char byte;
  return channel == SANDWIRE_COMMS_FD && read(channel, &byte, 1) < 0 ? 3 : 0;
}
