#include "setup_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sandwire/wire.generated.h"
#include "socket_io.h"

int setup_socket_send(int socket, uint32_t tag, const void *payload, size_t size, int fd) {
  unsigned char header[SANDWIRE_HEADER_SIZE];
  const uint64_t length = size;
  memcpy(header, &tag, sizeof(tag));
  memcpy(header + sizeof(tag), &length, sizeof(length));
  const struct iovec parts[] = {{header, sizeof(header)}, {(void *)payload, size}};
  ssize_t sent = sandwire_socket_send(socket, parts, size > 0 ? 2 : 1, MSG_DONTWAIT, fd);
  if (sent == (ssize_t)(sizeof(header) + size)) {
    return 0;
  }
  errno = sent < 0 ? (int)-sent : EAGAIN;
  return -1;
}
