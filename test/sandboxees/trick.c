/* trick HOW: what a hostile sandboxee may do on comms, fd 1023, once it runs under its policy. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"
#include "socket_io.h"

enum { COMMS = SANDWIRE_COMMS_FD };

static void send_bytes(const void *bytes, size_t size, int fd) {
  const char *at = bytes;
  while (size > 0) {
    const struct iovec part = {.iov_base = (void *)(uintptr_t)at, .iov_len = size};
    ssize_t sent = sandwire_socket_send(COMMS, &part, 1, 0, fd);
    if (sent == -ETOOMANYREFS) { /* there are as many fds under way as this process may have open */
      usleep(1000);
      continue;
    }
    if (sent < 0) {
      _exit(0); /* the host has had enough */
    }
    at += sent;
    size -= (size_t)sent;
    fd = -1;
  }
}

static void send_header(uint32_t tag, uint64_t length, int fd) {
  unsigned char header[SANDWIRE_HEADER_SIZE];
  memcpy(header, &tag, sizeof tag);
  memcpy(header + sizeof tag, &length, sizeof length);
  send_bytes(header, sizeof header, fd);
}

static void send_objects(uint32_t count) { /* empty ones, in a byte each */
  static unsigned char objects[64 * 1024];
  memset(objects, 0x80, sizeof objects);
  while (count > 0) {
    const uint32_t size = count < sizeof objects ? count : (uint32_t)sizeof objects;
    send_bytes(objects, size, -1);
    count -= size;
  }
}

/* An array of as many of msgpackr's bundled strings as fit, each of which stands for most of the megabyte at
 * the end. */
static void send_bundle(void) {
  enum { COUNT = 10 * 1000, ELEMENT = 8, LONG = 1 << 20 };
  const unsigned char array[] = {0xdd, 0, 0, COUNT >> 8, COUNT & 0xff};
  const unsigned char strings[] = {0xa0, 0xdb, 0, LONG >> 16, 0, 0};
  send_header(SANDWIRE_TAG_MESSAGE_PACK, sizeof array + COUNT * ELEMENT + sizeof strings + LONG, -1);
  send_bytes(array, sizeof array, -1);
  for (int i = 0; i < COUNT; i++) {
    const uint32_t offset =
        (uint32_t)((COUNT - i) * ELEMENT - 2); /* counted from the end of the offset itself */
    const unsigned char element[ELEMENT] = {0xd6,
                                            0x62,
                                            (unsigned char)(offset >> 24),
                                            (unsigned char)(offset >> 16),
                                            (unsigned char)(offset >> 8),
                                            (unsigned char)offset,
                                            0xc1,
                                            0x3f};
    send_bytes(element, sizeof element, -1);
  }
  send_bytes(strings, sizeof strings, -1);
  static char text[64 * 1024];
  memset(text, 'A', sizeof text);
  for (size_t sent = 0; sent < LONG; sent += sizeof text) {
    send_bytes(text, sizeof text, -1);
  }
}

/* A tree of msgpackr's references to itself, with forty levels of two each, and one byte too many after it.
 */
static void send_laughs(void) {
  enum { DEPTH = 40 };
  unsigned char bytes[3 + 7 + DEPTH * 19 + 1] = {0xdc, 0, DEPTH + 1, 0xd6, 0x69, 0, 0, 0, 0, 0x90};
  size_t size = 10;
  for (unsigned char level = 1; level <= DEPTH; level++) {
    const unsigned char before = (unsigned char)(level - 1);
    const unsigned char pair[] = {0xd6, 0x69, 0,      0,    0,    level, 0x92, 0xd6, 0x70,  0,
                                  0,    0,    before, 0xd6, 0x70, 0,     0,    0,    before};
    memcpy(bytes + size, pair, sizeof pair);
    size += sizeof pair;
  }
  bytes[size++] = 0xc0;
  send_header(SANDWIRE_TAG_MESSAGE_PACK, size, -1);
  send_bytes(bytes, size, -1);
}

static void wait_for_the_host(void) {
  char byte;
  while (read(COMMS, &byte, 1) > 0) {
  }
  _exit(0);
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  static char zeros[64 * 1024];
  if (strcmp(how, "length-bomb") == 0) {
    send_header(SANDWIRE_TAG_BYTES, UINT64_C(1) << 63, -1);
  } else if (strcmp(how, "promise") ==
             0) { /* the greatest length that is not refused, and then almost nothing */
    send_header(SANDWIRE_TAG_BYTES, SANDWIRE_DEFAULT_PAYLOAD_LIMIT, -1);
    send_bytes(zeros, 100, -1);
  } else if (strcmp(how, "value-bomb") == 0) { /* 16 million empty objects, in a byte each */
    const unsigned char array[] = {0xdd, 1, 0, 0, 0};
    send_header(SANDWIRE_TAG_MESSAGE_PACK, sizeof array + (1 << 24), -1);
    send_bytes(array, sizeof array, -1);
    send_objects(1 << 24);
  } else if (strcmp(how, "value-bypass") ==
             0) { /* the same after a byte that seems to begin a string of 2 GiB */
    const unsigned char array[] = {0xdd, 1, 0, 0, 0, 0xc4, 1, 0xdb};
    send_header(SANDWIRE_TAG_MESSAGE_PACK, sizeof array + (1 << 24) - 1, -1);
    send_bytes(array, sizeof array, -1);
    send_objects((1 << 24) - 1);
  } else if (strcmp(how, "value-bundle") == 0) {
    send_bundle();
  } else if (strcmp(how, "value-laughs") == 0) {
    send_laughs();
  } else if (strcmp(how, "half-a-header") == 0) {
    send_bytes(zeros, 7, -1);
  } else if (strcmp(how, "close-in-mid-message") == 0) {
    send_header(SANDWIRE_TAG_BYTES, 1000, -1);
    send_bytes(zeros, 500, -1);
    return 0;
  } else if (strcmp(how, "fd-flood") == 0) {
    for (;;) {
      send_header(SANDWIRE_TAG_FD, 0, 0);
    }
  } else if (strcmp(how, "fd-in-a-payload") == 0) {
    send_header(SANDWIRE_TAG_BYTES, 1000, -1);
    send_bytes(zeros, 1000, 0);
  } else if (strcmp(how, "fd-with-a-number") == 0) {
    send_header(SANDWIRE_TAG_UINT32, 4, 0);
    send_bytes(zeros, 4, -1);
  } else if (strcmp(how, "fd-with-a-payload") == 0) {
    send_header(SANDWIRE_TAG_FD, 4, 0);
  } else if (strcmp(how, "fd-without-fd") == 0) {
    send_header(SANDWIRE_TAG_FD, 0, -1);
  } else if (strcmp(how, "garbage") == 0) {
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    send_bytes(garbage, sizeof garbage - 1, -1);
  } else if (strcmp(how, "flood") == 0) { /* and never reads */
    for (;;) {
      send_header(SANDWIRE_TAG_BYTES, sizeof zeros, -1);
      send_bytes(zeros, sizeof zeros, -1);
    }
  } else if (strcmp(how, "never-read") == 0) {
    for (;;) {
      pause();
    }
  } else if (strcmp(how, "dribble") == 0) { /* a byte at a time */
    for (int i = 0; i < 3000; i++) {
      send_header(SANDWIRE_TAG_UINT8, 1, -1);
      send_bytes(zeros, 1, -1);
    }
  } else if (strcmp(how, "hold-its-own-socket") == 0) { /* the channel, sent through itself */
    send_header(SANDWIRE_TAG_FD, 0, COMMS);
  } else if (strcmp(how, "leave-its-socket-under-way") == 0) {
    send_header(SANDWIRE_TAG_FD, 0, COMMS);
    _exit(0);
  } else if (strcmp(how, "leave-its-output-under-way") == 0) {
    (void)!write(STDOUT_FILENO, "said", 4);
    send_header(SANDWIRE_TAG_FD, 0, STDOUT_FILENO);
    _exit(0);
  }
  wait_for_the_host();
}
