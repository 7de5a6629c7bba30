#include "sandwire/forking_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_request.h"
#include "forking_client_private.h"
#include "transport.h"

struct sandwire_forking_client *sandwire_forking_client_create(struct sandwire_comms *comms) {
  struct sandwire_forking_client *client = calloc(1, sizeof *client);
  if (client) {
    client->comms = comms;
  }
  return client;
}

void sandwire_forking_client_destroy(struct sandwire_forking_client *client) {
  if (client) {
    for (size_t i = 0; i < client->child_count; i++) {
      (void)close(client->children[i].pidfd);
    }
    for (size_t i = 0; i < client->entering_count; i++) {
      sandwire_comms_destroy(client->entering[i]);
    }
    sandwire_inherited_fds_destroy(&client->inherited);
    free(client->children);
    free(client->entering);
    free(client->polled);
    free(client);
  }
}

void sandwire_forking_client_set_options(struct sandwire_forking_client *client,
                                         const struct sandwire_forking_options *options) {
  client->options = *options;
}

/* ---- Children ---- */

/* The items with room for one more than count, which may be elsewhere then; NULL: no memory, and all is as it
 * was. */
static void *with_room(void *items, size_t *capacity, size_t count, size_t size) {
  if (count < *capacity) {
    return items;
  }
  const size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
  void *grown = realloc(items, wanted * size);
  if (grown) {
    *capacity = wanted;
  }
  return grown;
}

/* For one child more, in whichever state. */
static bool reserve_child(struct sandwire_forking_client *client) {
  void *children =
      with_room(client->children, &client->child_capacity, client->child_count, sizeof *client->children);
  if (children) {
    client->children = children;
  }
  void *entering = with_room(client->entering, &client->entering_capacity, client->entering_count,
                             sizeof(struct sandwire_comms *));
  if (entering) {
    client->entering = entering;
  }
  void *polled = with_room(client->polled, &client->polled_capacity,
                           1 + client->child_count + client->entering_count, sizeof *client->polled);
  if (polled) {
    client->polled = polled;
  }
  return children && entering && polled;
}

/* By its pid and no other: the program may have children of its own. And without a handler, as it may have
 * one. */
static void reap(struct sandwire_forking_client *client) {
  size_t kept = 0;
  for (size_t i = 0; i < client->child_count; i++) {
    struct child child = client->children[i];
    pid_t result;
    do {
      result = waitpid(child.pid, NULL, WNOHANG);
    } while (result < 0 && errno == EINTR);
    if (result == 0) {
      client->children[kept++] = child;
    } else {
      (void)close(child.pidfd); /* reaped: by us, or (ECHILD) by a wait of the program's */
    }
  }
  client->child_count = kept;
}

/* What has come. */
enum { NOTHING = -2, REQUEST = -1 }; /* or an index into entering */

static int find_event(const struct sandwire_forking_client *client) {
  const struct pollfd *entering = client->polled + 1 + client->child_count;
  for (size_t i = 0; i < client->entering_count; i++) {
    if (entering[i].revents != 0) {
      return (int)i;
    }
  }
  return client->polled[0].revents != 0 ? REQUEST : NOTHING;
}

/* Until a request or the way into a sandbox is there, or comms has ended; meanwhile children that end are
 * reaped. */
static enum sandwire_error await_event(struct sandwire_forking_client *client, int *event) {
  for (;;) {
    reap(client);
    if (client->ended != SANDWIRE_OK && client->entering_count == 0) {
      const enum sandwire_error ended = client->ended;
      client->ended = SANDWIRE_OK;
      return ended;
    }
    client->is_full = client->is_full && client->entering_count > 0;
    const bool is_listening = client->ended == SANDWIRE_OK && !client->is_full;
    const bool is_there = is_listening && sandwire_comms_has_message(client->comms);
    *event = REQUEST;
    if (client->entering_count == 0 && (client->child_count == 0 || is_there)) {
      return SANDWIRE_OK; /* to receive is all there is to wait for */
    }
    struct pollfd *polled = client->polled;
    *polled++ = (struct pollfd){.fd = is_listening ? client->comms->fd : -1, .events = POLLIN};
    for (size_t i = 0; i < client->child_count; i++) {
      *polled++ = (struct pollfd){.fd = client->children[i].pidfd, .events = POLLIN};
    }
    for (size_t i = 0; i < client->entering_count; i++) {
      *polled++ = (struct pollfd){.fd = client->entering[i]->fd, .events = POLLIN};
    }
    if (poll(client->polled, (nfds_t)(polled - client->polled), is_there ? 0 : -1) < 0) {
      if (errno != EINTR) {
        return sandwire_forking_fail(client, SANDWIRE_ERROR_SYSTEM, "poll");
      }
      continue;
    }
    *event = find_event(client);
    if (*event == NOTHING && is_there) {
      *event = REQUEST;
    }
    if (*event != NOTHING) {
      return SANDWIRE_OK;
    }
  }
}

/* ---- Forking ---- */

static void remember_child(struct sandwire_forking_client *client, pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0) {
    client->children[client->child_count++] = (struct child){.pid = pid, .pidfd = pidfd};
    return;
  }
  /* No fd left. It waits for its host, which needs no word of ours. */
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* Takes a request and answers it. The child is made when the host has told it the way; if none is needed, at
 * once. */
static enum sandwire_error take_request(struct sandwire_forking_client *client,
                                        struct sandwire_comms **unsandboxed) {
  struct sandwire_fork_request request;
  struct sandwire_comms *setup = NULL;
  client->answered = false;
  int pair[2] = {-1, -1};
  if (client->entering_count > 0 && sandwire_fork_request_make_socket(pair) != 0) {
    client->is_full = true;
    return SANDWIRE_OK;
  }
  enum sandwire_error error = sandwire_fork_request_receive(client->comms, &request);
  if (error == SANDWIRE_OK) {
    if (pair[0] < 0) {
      (void)sandwire_fork_request_make_socket(pair); /* a failure is told in place of an answer */
    }
    error = sandwire_fork_request_answer(client->comms, &request, pair, &setup);
  } else if (pair[0] >= 0) {
    (void)close(pair[0]);
    (void)close(pair[1]);
  }
  if (error) {
    client->ended = error;
    return SANDWIRE_OK; /* to be told when those who are on their way are in */
  }
  client->answered = true;
  if (!request.can_be_met) {
    error = sandwire_forking_fail(client, SANDWIRE_ERROR_UNSUPPORTED,
                                  "the host asks for what only sandbox2's own fork server can do");
  } else if (!reserve_child(client)) {
    error = sandwire_forking_refuse(client, setup, SANDWIRE_STEP_FORK_SERVER, ENOMEM, "memory");
  }
  if (error) {
    sandwire_comms_destroy(setup);
  } else if (request.from_sandwire) {
    client->entering[client->entering_count++] = setup;
  } else {
    *unsandboxed = setup;
  }
  return error;
}

pid_t sandwire_forking_client_wait_and_fork(struct sandwire_forking_client *client) {
  if (client->is_child) {
    client->answered = false;
    return -(pid_t)sandwire_forking_fail(client, SANDWIRE_ERROR_UNSUPPORTED,
                                         "this process is a child of the fork server itself");
  }
  for (;;) {
    int event = REQUEST;
    struct sandwire_comms *unsandboxed = NULL;
    client->answered = false;
    enum sandwire_error error = await_event(client, &event);
    if (error == SANDWIRE_OK && event == REQUEST) {
      error = take_request(client, &unsandboxed);
    }
    if (error) {
      return -(pid_t)error;
    }
    if (unsandboxed != NULL) {
      const pid_t pid = sandwire_fork_unsandboxed(client, unsandboxed);
      if (pid > 0) {
        remember_child(client, pid);
      }
      return pid;
    }
    if (event != REQUEST) {
      struct sandwire_comms *setup = client->entering[event];
      client->entering[event] = client->entering[--client->entering_count];
      client->is_full = false;
      client->answered = true;
      return sandwire_fork_into_sandbox(client, setup);
    }
  }
}

enum sandwire_error sandwire_forking_client_enter_fork_loop(struct sandwire_forking_client *client) {
  for (;;) {
    pid_t result = sandwire_forking_client_wait_and_fork(client);
    if (result == 0) {
      return SANDWIRE_OK;
    }
    if (result < 0 && !client->answered) {
      return (enum sandwire_error) - result;
    }
  }
}
