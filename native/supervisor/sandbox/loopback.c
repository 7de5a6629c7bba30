#include "loopback.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int loopback_bring_up(const char **object) {
  *object = "socket";
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return errno == EAFNOSUPPORT ? 0 : -1; /* a kernel without IPv4 has no 127.0.0.1 to offer */
  }
  struct ifreq request;
  memset(&request, 0, sizeof(request));
  memcpy(request.ifr_name, "lo", sizeof("lo"));
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  *object = "lo";
  const int result = ioctl(fd, SIOCSIFFLAGS, &request);
  const int error = errno;
  close(fd);
  errno = error;
  return result;
}
