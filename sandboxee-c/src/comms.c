#include "sandwire/comms.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "detect.h"
#include "transport.h"

static struct sandwire_comms *create_unchecked(int fd) {
  struct sandwire_comms *comms = calloc(1, sizeof *comms);
  if (comms) {
    comms->fd = fd;
    comms->timeout_ms = -1;
    comms->deadline_ms = -1;
    comms->operation = "";
    comms->payload_limit = SANDWIRE_DEFAULT_PAYLOAD_LIMIT;
    sandwire_reader_init(&comms->reader, comms->payload_limit);
  }
  return comms;
}

struct sandwire_comms *sandwire_comms_create(int fd) {
  int type;
  socklen_t type_size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) {
    return NULL;
  }
  if (type != SOCK_STREAM) {
    errno = ENOTSOCK;
    return NULL;
  }
  return create_unchecked(fd);
}

/* Decimal digits only; -1 if it is not an fd. */
static int parse_fd(const char *text) {
  long value = 0;
  if (!*text) {
    return -1;
  }
  for (const char *at = text; *at; at++) {
    if (*at < '0' || *at > '9') {
      return -1;
    }
    value = value * 10 + (*at - '0');
    if (value > INT_MAX) {
      return -1;
    }
  }
  return (int)value;
}

struct sandwire_comms *sandwire_comms_default(void) {
  int fd = SANDWIRE_COMMS_FD;
  const char *text = getenv(SANDWIRE_COMMS_FD_ENV);
  if (text) {
    fd = parse_fd(text);
    if (unsetenv(SANDWIRE_COMMS_FD_ENV) != 0) {
      return NULL;
    }
    if (fd < 0) {
      errno = EINVAL;
      return NULL;
    }
  }
  enum sandwire_sandbox sandbox = sandwire_detect_sandbox();
  if (sandbox == SANDWIRE_SANDBOX_NONE) {
    return sandwire_comms_create(fd);
  }
  /* A policy in force need not allow getsockopt(); then the host has put the socket there. */
  struct sandwire_comms *comms = create_unchecked(fd);
  if (comms) {
    comms->uses_read_write = sandbox == SANDWIRE_SANDBOX_FOREIGN;
  }
  return comms;
}

void sandwire_comms_destroy(struct sandwire_comms *comms) {
  if (comms) {
    sandwire_reader_discard(&comms->reader, comms->fd); /* messages of the peer's may wait in it */
    sandwire_reader_destroy(&comms->reader);
    free(comms->collected);
    free(comms);
  }
}

int sandwire_comms_fd(const struct sandwire_comms *comms) {
  return comms->fd;
}

bool sandwire_comms_has_message(const struct sandwire_comms *comms) {
  uint32_t tag;
  return sandwire_reader_peek(&comms->reader, &tag) > 0 && sandwire_reader_missing(&comms->reader) == 0;
}

void sandwire_comms_set_payload_limit(struct sandwire_comms *comms, uint64_t bytes) {
  comms->payload_limit = bytes > SANDWIRE_MAX_PAYLOAD ? SANDWIRE_MAX_PAYLOAD : bytes;
  comms->reader.payload_limit = comms->payload_limit;
}

void sandwire_comms_set_timeout(struct sandwire_comms *comms, int milliseconds) {
  comms->timeout_ms = milliseconds < 0 ? -1 : milliseconds;
}

enum sandwire_error sandwire_comms_cork(struct sandwire_comms *comms) {
  sandwire_transport_begin(comms, "cork");
  if (!comms->collected && !(comms->collected = malloc(SANDWIRE_CORK_SIZE))) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
  }
  comms->is_corked = true;
  return SANDWIRE_OK;
}

enum sandwire_error sandwire_comms_uncork(struct sandwire_comms *comms) {
  sandwire_transport_begin(comms, "uncork");
  enum sandwire_error error = sandwire_transport_send_collected(comms);
  comms->is_corked = error == SANDWIRE_ERROR_TIMEOUT && !comms->send_failure;
  return error;
}

const char *sandwire_comms_error_text(const struct sandwire_comms *comms) {
  return comms->error_text;
}

enum sandwire_error sandwire_comms_enable_credentials(struct sandwire_comms *comms) {
  sandwire_transport_begin(comms, "enable credentials");
  int on = 1;
  if (setsockopt(comms->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
  }
  comms->reader.wants_credentials = true;
  return SANDWIRE_OK;
}

enum sandwire_error sandwire_comms_peer_credentials(struct sandwire_comms *comms,
                                                    struct sandwire_credentials *credentials) {
  sandwire_transport_begin(comms, "peer credentials");
  struct ucred ucred;
  socklen_t size = sizeof ucred;
  if (getsockopt(comms->fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) != 0) {
    return sandwire_transport_fail(comms, SANDWIRE_ERROR_SYSTEM, NULL);
  }
  *credentials = (struct sandwire_credentials){.pid = ucred.pid, .uid = ucred.uid, .gid = ucred.gid};
  return SANDWIRE_OK;
}
