/* libFuzzer over the reader and the protobuf parser. Whatever comes, in whatever pieces, with fds anywhere:
 * no memory or fd is lost, and no more memory is held than came. The first byte seeds how the rest is cut;
 * the highest bit of a cut's byte says whether an fd comes with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protobuf.h"
#include "reader.h"
#include "socket_io.h"

static void must(bool holds) {
  if (!holds) {
    abort();
  }
}

static void parse_payload(const struct sandwire_message *message) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, message->payload, message->length);
  uint64_t sum = 0;
  while (sandwire_protobuf_next(&reader, &field)) {
    for (size_t i = 0; i < field.size; i++) {
      sum += field.bytes[i];
    }
  }
  must(reader.malformed || reader.at == reader.end);
  must(sum < UINT64_MAX);
}

static bool drain(struct sandwire_reader *reader, int socket) {
  if (sandwire_reader_fill(reader, socket, MSG_DONTWAIT) != SANDWIRE_OK) {
    return false;
  }
  struct sandwire_message message;
  int taken;
  while ((taken = sandwire_reader_next(reader, &message)) == 1) {
    must((message.fd >= 0) == (message.tag == SANDWIRE_TAG_FD || message.tag == SANDWIRE_TAG_COMMS_UPGRADE));
    if (message.fd >= 0) {
      must(close(message.fd) == 0);
    }
    parse_payload(&message);
  }
  must(reader->capacity <= 64 * 1024 || reader->capacity <= 2 * (reader->end - reader->start) + 12);
  return taken == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int fd = -1;
  int pair[2];
  if (fd < 0) {
    must((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
  }
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  struct sandwire_reader reader;
  sandwire_reader_init(&reader, 1 << 16);
  while (size > 1) {
    size_t length = (data[0] & 0x7f) + 1u;
    bool with_fd = data[0] & 0x80;
    length = length < size - 1 ? length : size - 1;
    struct iovec part = {.iov_base = (void *)(uintptr_t)(data + 1), .iov_len = length};
    must(sandwire_socket_send(pair[0], &part, 1, 0, with_fd ? fd : -1) == (ssize_t)length);
    data += length + 1;
    size -= length + 1;
    if ((length & 3) != 0 && !drain(&reader, pair[1])) {
      break;
    }
  }
  while (drain(&reader, pair[1])) {
  }
  sandwire_reader_destroy(&reader);
  close(pair[0]);
  close(pair[1]);
  must(dup(fd) == pair[0]); /* every number is free again */
  close(pair[0]);
  return 0;
}
