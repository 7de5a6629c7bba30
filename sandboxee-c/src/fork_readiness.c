#include "fork_readiness.h"

#include <errno.h>
#include <stdio.h>

#include "fork_request.h"
#include "shared_memory.h"
#include "threads.h"
#include "transport.h"

static enum sandwire_error refuse(struct sandwire_forking_client *client, struct sandwire_comms *setup,
                                  int error, const char *reason) {
  sandwire_fork_request_fail(setup, SANDWIRE_STEP_FORK_SERVER, error, reason);
  return sandwire_forking_fail(client, SANDWIRE_ERROR_UNSUPPORTED, reason);
}

static enum sandwire_error check_threads(struct sandwire_forking_client *client,
                                         struct sandwire_comms *setup) {
  const int threads = sandwire_count_threads();
  const unsigned allowed = client->options.max_threads == 0 ? 1 : client->options.max_threads;
  if (threads < 0) {
    return refuse(client, setup, errno, "counting threads needs /proc/self/stat");
  }
  if ((unsigned)threads > allowed) {
    char detail[80];
    (void)snprintf(detail, sizeof detail, "the fork server has %d threads, %u can be forked", threads,
                   allowed);
    return refuse(client, setup, EBUSY, detail);
  }
  return SANDWIRE_OK;
}

static enum sandwire_error check_memory(struct sandwire_forking_client *client,
                                        struct sandwire_comms *setup) {
  char name[100], detail[200];
  const int found = sandwire_find_shared_memory(client->options.share_memory, name, sizeof name);
  if (found < 0) {
    return refuse(client, setup, errno, "looking for shared memory needs /proc/self/maps");
  }
  if (found != SANDWIRE_SHARED_NOTHING) {
    (void)snprintf(
        detail, sizeof detail,
        found == SANDWIRE_SHARED_MEMORY
            ? "the fork server has memory that all its children could write to (%s)"
            : "the fork server has a ring or a device mapped, by which its children could act as it (%s)",
        name);
    return refuse(client, setup, EBUSY, detail);
  }
  /* Its memory is copied by the fork, unless it is shared. */
  if (client->options.share_memory && sandwire_has_registered_ring()) {
    return refuse(client, setup, EBUSY, "the fork server has a ring of io_uring without an fd");
  }
  return SANDWIRE_OK;
}

/* ---- Open files ---- */

struct child_to_be {
  const struct sandwire_forking_client *client;
  const struct sandwire_comms *setup;
};

/* What the program shares by name; and what is libsandwire's own, which a child closes or needs. */
static bool is_kept(int fd, void *context) {
  const struct child_to_be *child = context;
  const struct sandwire_forking_client *client = child->client;
  if (fd == child->setup->fd || fd == client->comms->fd) {
    return true;
  }
  for (size_t i = 0; i < client->child_count; i++) {
    if (fd == client->children[i].pidfd) {
      return true;
    }
  }
  for (size_t i = 0; i < client->entering_count; i++) {
    if (fd == client->entering[i]->fd) {
      return true;
    }
  }
  return client->options.share_fd != NULL && client->options.share_fd(fd, client->options.context);
}

static enum sandwire_error check_fds(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  struct child_to_be child = {.client = client, .setup = setup};
  char object[64], detail[160];
  const int error = sandwire_inherited_fds_list(&client->inherited, is_kept, &child, object, sizeof object);
  if (error == 0) {
    return SANDWIRE_OK;
  }
  if (error == EBUSY) {
    (void)snprintf(detail, sizeof detail, "the fork server has a ring or a userfaultfd open (%s)", object);
  } else if (error == EISDIR) {
    (void)snprintf(detail, sizeof detail,
                   "a directory cannot be shared with children: it leads to all of the host (%s)", object);
  } else {
    (void)snprintf(detail, sizeof detail, "looking for open files (%s)", object);
  }
  return refuse(client, setup, error, detail);
}

enum sandwire_error sandwire_fork_readiness_check(struct sandwire_forking_client *client,
                                                  struct sandwire_comms *setup) {
  enum sandwire_error error = check_threads(client, setup);
  if (error == SANDWIRE_OK) {
    error = check_memory(client, setup);
  }
  return error == SANDWIRE_OK ? check_fds(client, setup) : error;
}
