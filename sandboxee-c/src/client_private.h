/* Shared by client.c and the handshake. */
#ifndef SANDWIRE_CLIENT_PRIVATE_H
#define SANDWIRE_CLIENT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "sandwire/client.h"

struct sandwire_mapped_fd {
  char *name; /* with a NUL; empty: mapped by number only */
  size_t name_size;
  int fd;
  bool is_fixed; /* the host chose the number */
};

struct sandwire_client {
  struct sandwire_comms *comms;
  struct sandwire_mapped_fd *mapped;
  size_t mapped_count;
  int rendezvous_fd; /* -1: the host is not sandwire's */
};

const struct sandwire_mapped_fd *sandwire_client_find(const struct sandwire_client *client, const char *name,
                                                      size_t size);

/* 0, EINVAL for a name twice, or ENOMEM. */
int sandwire_client_add(struct sandwire_client *client, const char *name, size_t size, int fd, bool is_fixed);

/* The version that sandwire's own ends send. */
extern const char sandwire_own_version[];

/* Notes that the host has put a rendezvous socket on SANDWIRE_RENDEZVOUS_FD of this process, although no
 * environment variable says so. */
void sandwire_client_note_rendezvous(void);

/* Notes that the process has its policy, which it takes only once, through any client. */
void sandwire_client_note_sandboxed(struct sandwire_client *client);
bool sandwire_client_is_process_sandboxed(void);

#endif
