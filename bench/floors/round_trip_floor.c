/* round_trip_floor COUNT: a 16-byte message (a Uint32 TLV) to another process and back over a socket pair, COUNT
 * times; prints how long each took, in nanoseconds, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
  enum { SIZE = 16 };
  char message[SIZE] = {0};
  int pair[2];
  if (argc < 2 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return 2;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(pair[0]);
    while (recv(pair[1], message, SIZE, 0) == SIZE && send(pair[1], message, SIZE, MSG_NOSIGNAL) == SIZE) {
    }
    _exit(0);
  }
  close(pair[1]);
  int count = atoi(argv[1]);
  long long *times = malloc(sizeof(*times) * (size_t)count);
  if (pid < 0 || times == NULL) {
    return 2;
  }
  for (int i = 0; i < count; i++) {
    long long started = now_ns();
    if (send(pair[0], message, SIZE, MSG_NOSIGNAL) != SIZE || recv(pair[0], message, SIZE, 0) != SIZE) {
      return 1;
    }
    times[i] = now_ns() - started;
  }
  for (int i = 0; i < count; i++) {
    printf("%lld\n", times[i]);
  }
  return 0;
}
