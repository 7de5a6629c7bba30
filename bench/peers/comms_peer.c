/* The sandboxee of the comms benchmarks. It receives orders over comms – a String that says what to do, then
 * how many times and with how many bytes, both Uint32. It carries each out with libsandwire or, with "raw "
 * before it, with plain system calls over fd 3 for the floor. */
#include <sandwire/sandwire.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../floors/raw_socket.h"

static struct sandwire_comms *comms;

static void ok(enum sandwire_error error) {
  must(error == SANDWIRE_OK);
}

static void fill(int fd, size_t size) {
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(data != MAP_FAILED);
  memset(data, 'X', size);
  must(munmap(data, size) == 0);
}

static void work_raw(const char *what, int count, size_t size) {
  what = strcmp(what, "send corked") == 0 ? "send" : what;
  if (strcmp(what, "echo") == 0) {
    for (int i = 0; i < count; i++) {
      raw_receive(size + RAW_HEADER_SIZE);
      raw_send_messages(1, size);
    }
  } else if (strcmp(what, "receive") == 0) {
    raw_receive((size_t)count * (size + RAW_HEADER_SIZE));
    must(send(RAW_SOCKET, "", 1, MSG_NOSIGNAL) == 1);
  } else if (strcmp(what, "send") == 0) {
    raw_send_messages(count, size);
  } else {
    for (int i = 0; i < count; i++) {
      int fd = raw_receive_fd();
      if (strcmp(what, "buffer") == 0) {
        fill(fd, size);
        must(send(RAW_SOCKET, "", 1, MSG_NOSIGNAL) == 1);
      }
      close(fd);
    }
    if (strcmp(what, "fd") == 0) {
      must(send(RAW_SOCKET, "", 1, MSG_NOSIGNAL) == 1);
    }
  }
}

static void work(const char *what, int count, size_t size) {
  char *chunk = raw_chunk();
  if (strcmp(what, "echo") == 0) {
    for (int i = 0; i < count; i++) {
      uint32_t value = 0;
      ok(sandwire_comms_recv_uint32(comms, &value));
      ok(sandwire_comms_send_uint32(comms, value));
    }
  } else if (strcmp(what, "receive") == 0) {
    for (int i = 0; i < count; i++) {
      ok(sandwire_comms_recv_bytes(comms, chunk, RAW_CHUNK, NULL));
    }
    ok(sandwire_comms_send_barrier(comms));
  } else if (strcmp(what, "send") == 0) {
    for (int i = 0; i < count; i++) {
      ok(sandwire_comms_send_bytes(comms, chunk, size));
    }
  } else if (strcmp(what, "send corked") == 0) {
    ok(sandwire_comms_cork(comms));
    for (int i = 0; i < count; i++) {
      ok(sandwire_comms_send_bytes(comms, chunk, size));
    }
    ok(sandwire_comms_uncork(comms));
  } else if (strcmp(what, "fd") == 0) {
    for (int i = 0; i < count; i++) {
      int fd = -1;
      ok(sandwire_comms_recv_fd(comms, &fd));
      close(fd);
    }
    ok(sandwire_comms_send_barrier(comms));
  } else {
    for (int i = 0; i < count; i++) {
      int fd = -1;
      ok(sandwire_comms_recv_fd(comms, &fd));
      struct sandwire_buffer *buffer = sandwire_buffer_from_fd(fd);
      must(buffer != NULL);
      memset(sandwire_buffer_data(buffer), 'X', sandwire_buffer_size(buffer));
      sandwire_buffer_destroy(buffer);
      ok(sandwire_comms_send_barrier(comms));
    }
  }
}

int main(void) {
  comms = sandwire_comms_default();
  char what[32];
  uint32_t count = 0, size = 0;
  must(comms != NULL);
  while (sandwire_comms_recv_string(comms, what, sizeof what, NULL) == SANDWIRE_OK) {
    ok(sandwire_comms_recv_uint32(comms, &count));
    ok(sandwire_comms_recv_uint32(comms, &size));
    if (strncmp(what, "raw ", 4) == 0) {
      work_raw(what + 4, (int)count, size);
    } else {
      work(what, (int)count, size);
    }
  }
  return 0;
}
