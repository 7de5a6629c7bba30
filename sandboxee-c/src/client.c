#include "sandwire/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_private.h"
#include "detect.h"

/* Parses decimal digits up to end as an fd; -1 if they are none. */
static int parse_fd(const char *at, const char *end) {
  long value = 0;
  if (at == end) {
    return -1;
  }
  for (; at < end; at++) {
    if (*at < '0' || *at > '9' || (value = value * 10 + (*at - '0')) > INT_MAX) {
      return -1;
    }
  }
  return (int)value;
}

static const char *end_of_item(const char *at) {
  const char *comma = strchr(at, ',');
  return comma ? comma : at + strlen(at);
}

const struct sandwire_mapped_fd *sandwire_client_find(const struct sandwire_client *client, const char *name,
                                                      size_t size) {
  for (size_t i = 0; i < client->mapped_count; i++) {
    const struct sandwire_mapped_fd *mapped = &client->mapped[i];
    if (mapped->name_size == size && size > 0 && memcmp(mapped->name, name, size) == 0) {
      return mapped;
    }
  }
  return NULL;
}

int sandwire_client_add(struct sandwire_client *client, const char *name, size_t size, int fd,
                        bool is_fixed) {
  if (sandwire_client_find(client, name, size)) {
    return EINVAL;
  }
  struct sandwire_mapped_fd *mapped =
      realloc(client->mapped, (client->mapped_count + 1) * sizeof *client->mapped);
  if (!mapped) {
    return ENOMEM;
  }
  client->mapped = mapped;
  char *copy = malloc(size + 1);
  if (!copy) {
    return ENOMEM;
  }
  memcpy(copy, name, size);
  copy[size] = '\0';
  client->mapped[client->mapped_count++] =
      (struct sandwire_mapped_fd){.name = copy, .name_size = size, .fd = fd, .is_fixed = is_fixed};
  return 0;
}

/* Parses "name,fd,name,fd". 0 or an errno. */
static int parse_mappings(struct sandwire_client *client, const char *text) {
  /* Under a policy fcntl() may be forbidden; then the host has to be believed. */
  bool can_check = sandwire_detect_sandbox() == SANDWIRE_SANDBOX_NONE;
  const char *at = text;
  while (*at) {
    const char *name_end = end_of_item(at);
    if (*name_end != ',' || name_end == at) {
      return EINVAL;
    }
    const char *number = name_end + 1, *number_end = end_of_item(number);
    int fd = parse_fd(number, number_end);
    if (fd < 0 || (can_check && fcntl(fd, F_GETFD) < 0)) {
      return EINVAL;
    }
    int error = sandwire_client_add(client, at, (size_t)(name_end - at), fd, true);
    if (error) {
      return error;
    }
    if (!*number_end) {
      return 0;
    }
    at = number_end + 1;
    if (!*at) {
      return EINVAL; /* a comma at the end */
    }
  }
  return 0;
}

/* It belongs to the process, not to one client: the host gives one rendezvous socket, whichever client uses
 * it. */
static int process_rendezvous_fd = -1;
static bool process_is_sandboxed;

/* Takes the rendezvous socket of a sandwire host, and hides it from programs that this one may start. 0 or an
 * errno. */
static int take_rendezvous(struct sandwire_client *client) {
  const char *text = getenv(SANDWIRE_RENDEZVOUS_FD_ENV);
  if (text) {
    int fd = parse_fd(text, text + strlen(text));
    if (fd != SANDWIRE_RENDEZVOUS_FD || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return EINVAL;
    }
    if (unsetenv(SANDWIRE_RENDEZVOUS_FD_ENV) != 0) {
      return errno;
    }
    process_rendezvous_fd = fd;
  }
  client->rendezvous_fd = process_rendezvous_fd;
  return 0;
}

void sandwire_client_note_rendezvous(void) {
  process_rendezvous_fd = SANDWIRE_RENDEZVOUS_FD;
}

void sandwire_client_note_sandboxed(struct sandwire_client *client) {
  client->rendezvous_fd = process_rendezvous_fd = -1;
  process_is_sandboxed = true;
}

bool sandwire_client_is_process_sandboxed(void) {
  return process_is_sandboxed;
}

struct sandwire_client *sandwire_client_create(struct sandwire_comms *comms) {
  struct sandwire_client *client = calloc(1, sizeof *client);
  if (!client) {
    return NULL;
  }
  client->comms = comms;
  int error = take_rendezvous(client);
  const char *mappings = getenv(SANDWIRE_FD_MAPPINGS_ENV);
  if (!error && mappings) {
    error = parse_mappings(client, mappings);
    if (unsetenv(SANDWIRE_FD_MAPPINGS_ENV) != 0 && !error) {
      error = errno;
    }
  }
  if (error) {
    sandwire_client_destroy(client);
    errno = error;
    return NULL;
  }
  return client;
}

void sandwire_client_destroy(struct sandwire_client *client) {
  if (client) {
    for (size_t i = 0; i < client->mapped_count; i++) {
      free(client->mapped[i].name);
    }
    free(client->mapped);
    free(client);
  }
}

int sandwire_client_mapped_fd(const struct sandwire_client *client, const char *name) {
  const struct sandwire_mapped_fd *mapped = sandwire_client_find(client, name, strlen(name));
  return mapped ? mapped->fd : -1;
}

bool sandwire_client_has_mapped_fd(const struct sandwire_client *client, const char *name) {
  return sandwire_client_mapped_fd(client, name) >= 0;
}

enum sandwire_error sandwire_sandbox_me_here(struct sandwire_comms *comms) {
  struct sandwire_client *client = sandwire_client_create(comms);
  if (!client) {
    return errno == EINVAL ? SANDWIRE_ERROR_INVALID_VALUE : SANDWIRE_ERROR_SYSTEM;
  }
  enum sandwire_error error = sandwire_client_sandbox_me_here(client);
  sandwire_client_destroy(client); /* only a few small blocks, which no C library returns to the kernel */
  return error;
}
