/* comms_floor WHAT COUNT SIZE: the floor of the comms benchmarks: the host's side in C, without sandwire. Its
 * socket is fd 3; at the other end, under the same policy, is bench/peers/comms_peer.c. Prints the time it
 * took, in nanoseconds: for round-trip, fd and buffer one line each time, else one line for all COUNT. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "raw_socket.h"

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The buffer is made and sent here, filled by the peer, and read here. */
static void share_buffer(size_t size) {
  int fd = memfd_create("floor", MFD_CLOEXEC);
  must(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
  unsigned char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(data != MAP_FAILED);
  raw_send_fd(fd);
  raw_receive(1);
  uint64_t sum = 0;
  for (size_t at = 0; at < size; at += 64) {
    sum += data[at];
  }
  must(sum == size / 64 * 'X');
  must(munmap(data, size) == 0 && close(fd) == 0);
}

int main(int argc, char **argv) {
  must(argc == 4);
  const char *what = argv[1];
  int count = atoi(argv[2]);
  size_t size = (size_t)atoll(argv[3]);
  long long *times = malloc(sizeof(*times) * (size_t)count);
  must(times != NULL);
  int samples = count;
  long long started = now_ns();
  if (strcmp(what, "send") == 0) {
    raw_send_messages(count, size);
    raw_receive(1);
    samples = 1;
  } else if (strcmp(what, "receive") == 0) {
    raw_receive((size_t)count * (size + RAW_HEADER_SIZE));
    samples = 1;
  } else {
    for (int i = 0; i < count; i++) {
      long long began = now_ns();
      if (strcmp(what, "round-trip") == 0) {
        raw_send_messages(1, size);
        raw_receive(size + RAW_HEADER_SIZE);
      } else if (strcmp(what, "fd") == 0) {
        raw_send_fd(0);
      } else {
        share_buffer(size);
      }
      times[i] = now_ns() - began;
    }
    if (strcmp(what, "fd") == 0) {
      raw_receive(1);
    }
  }
  if (samples == 1) {
    times[0] = now_ns() - started;
  }
  for (int i = 0; i < samples; i++) {
    printf("%lld\n", times[i]);
  }
  return 0;
}
