#include "fork_request.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_private.h"
#include "protobuf.h"
#include "transport.h"

static const uint64_t namespace_flags =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

static bool parse(struct sandwire_fork_request *request, const void *bytes, size_t size) {
  uint64_t mode = 0, clone_flags = 0;
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  *request = (struct sandwire_fork_request){.from_sandwire = false};
  sandwire_protobuf_reader_init(&reader, bytes, size);
  while (sandwire_protobuf_next(&reader, &field)) {
    if (field.wire_type != 0) {
      continue; /* only numbers are of interest here */
    }
    if (field.number == SANDWIRE_FORK_REQUEST_MODE) {
      mode = field.value;
    } else if (field.number == SANDWIRE_FORK_REQUEST_CLONE_FLAGS) {
      clone_flags = field.value;
    } else if (field.number == SANDWIRE_FORK_REQUEST_SANDWIRE_ENTRANCE) {
      request->from_sandwire = field.value != 0;
    }
  }
  /* sandbox2 lets its child build the sandbox itself, from namespaces and mounts that it sends. With a
   * request that is not sandwire's, that child would be in no sandbox. */
  request->can_be_met =
      mode == SANDWIRE_FORK && (request->from_sandwire || (clone_flags & namespace_flags) == 0);
  return !reader.malformed;
}

enum sandwire_error sandwire_fork_request_receive(struct sandwire_comms *comms,
                                                  struct sandwire_fork_request *request) {
  void *bytes = NULL;
  size_t size = 0;
  enum sandwire_error error = sandwire_comms_recv_protobuf_alloc(comms, &bytes, &size);
  if (error) {
    return error;
  }
  bool is_whole = parse(request, bytes, size);
  free(bytes);
  comms->operation = "fork request";
  return is_whole ? SANDWIRE_OK
                  : sandwire_transport_fail_receive(comms, SANDWIRE_ERROR_INVALID_VALUE,
                                                    "the request is malformed");
}

int sandwire_fork_request_make_socket(int pair[2]) {
  int made[2];
  pair[0] = pair[1] = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, made) != 0) {
    return -1;
  }
  const int on =
      1; /* as in sandbox2 the child sends its pid as credentials; some hosts expect us to set this */
  int lifted = fcntl(made[1], F_DUPFD_CLOEXEC, SANDWIRE_COMMS_FD + 1);
  if (lifted < 0 || setsockopt(made[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      setsockopt(lifted, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    int error = lifted < 0 && errno == EINVAL ? EMFILE : errno;
    if (lifted >= 0) {
      (void)close(lifted);
    }
    (void)close(made[0]);
    (void)close(made[1]);
    errno = error;
    return -1;
  }
  (void)close(made[1]);
  pair[0] = made[0];
  pair[1] = lifted;
  return 0;
}

enum sandwire_error sandwire_fork_request_answer(struct sandwire_comms *comms,
                                                 const struct sandwire_fork_request *request,
                                                 const int pair[2], struct sandwire_comms **setup) {
  if (pair[0] < 0 || (*setup = sandwire_comms_create(pair[1])) == NULL) {
    enum sandwire_error error =
        sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, "making the set-up socket");
    if (pair[0] >= 0) {
      (void)close(pair[0]);
      (void)close(pair[1]);
    }
    /* The protocol has no message for this, and a host that waits for an answer must not wait for ever. */
    (void)shutdown(comms->fd, SHUT_RDWR);
    return error;
  }
  enum sandwire_error error = SANDWIRE_OK;
  if (request->from_sandwire) {
    error = sandwire_comms_send_tlv(comms, SANDWIRE_TAG_VERSION, sandwire_own_version,
                                    strlen(sandwire_own_version));
  }
  if (error == SANDWIRE_OK) {
    error = sandwire_comms_send_fd(comms, pair[0]);
  }
  (void)close(pair[0]);
  if (error) {
    sandwire_comms_destroy(*setup);
    *setup = NULL;
  }
  return error;
}

void sandwire_fork_request_fail(struct sandwire_comms *setup, int step, int error, const char *detail) {
  uint8_t bytes[256];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof bytes);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_FAILURE_STEP, (uint64_t)step);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENTRANCE_FAILURE_ERRNO, (uint64_t)error);
  sandwire_protobuf_put_bytes(&message, SANDWIRE_ENTRANCE_FAILURE_DETAIL, detail, strlen(detail));
  (void)sandwire_comms_send_protobuf(setup, bytes, message.size);
}
