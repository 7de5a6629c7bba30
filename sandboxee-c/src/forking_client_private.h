/* What the two halves of the forking client share: forking_client.c waits, forking.c forks. */
#ifndef SANDWIRE_FORKING_CLIENT_PRIVATE_H
#define SANDWIRE_FORKING_CLIENT_PRIVATE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "inherited_fds.h"
#include "sandwire/forking_client.h"

/* A child of ours until it is reaped, under a host that is sandbox2. */
struct child {
  pid_t pid;
  int pidfd;
};

struct sandwire_forking_client {
  struct sandwire_comms *comms;
  struct sandwire_forking_options options;
  struct child *children;
  size_t child_count, child_capacity;
  struct sandwire_comms **entering; /* set-up sockets on which the way into a sandbox has still to come */
  size_t entering_count, entering_capacity;
  struct sandwire_inherited_fds inherited; /* for the child that is forked just now */
  struct pollfd *polled;                   /* comms, then children, then entering */
  size_t polled_capacity;
  enum sandwire_error ended; /* what has ended comms, or OK */
  bool is_full;  /* there was no fd for one more that enters; a request waits until one of them is in */
  bool is_child; /* this process is one: it forks no others */
  volatile bool joiner_forks; /* set by the joiner while it is within fork() */
  bool answered;              /* the newest request: what fails after that concerns it alone */
};

/* An error of this client, in words. */
enum sandwire_error sandwire_forking_fail(struct sandwire_forking_client *client, enum sandwire_error error,
                                          const char *detail);

/* The same for one request; the host hears of it on the set-up socket. error: an errno. */
enum sandwire_error sandwire_forking_refuse(struct sandwire_forking_client *client,
                                            struct sandwire_comms *setup, int step, int error,
                                            const char *reason);

/* Both take setup over, and return 0 in the child, which has taken all its steps; in the fork server a pid,
 * or a negative error, of which the host knows. sandwire_fork_into_sandbox() returns there when the entrance
 * is done and the process of that pid, which has led the sandboxee in, has ended. */
pid_t sandwire_fork_into_sandbox(struct sandwire_forking_client *client, struct sandwire_comms *setup);
pid_t sandwire_fork_unsandboxed(struct sandwire_forking_client *client, struct sandwire_comms *setup);

#endif
