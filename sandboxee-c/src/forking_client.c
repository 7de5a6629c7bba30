#include "sandwire/forking_client.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_request.h"
#include "forked_child.h"
#include "transport.h"

/* A child of ours until it is reaped. In a sandwire sandbox it lives for a millisecond, until the sandboxee, its own
 * child, is born there. */
struct child {
  pid_t pid;
  int pidfd;
};

struct sandwire_forking_client {
  struct sandwire_comms *comms;
  struct sandwire_forking_options options;
  struct child *children;
  struct pollfd *polled; /* one more than children: comms comes first */
  size_t child_count, capacity;
  bool answered; /* the newest request: what fails after that concerns it alone */
};

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
    free(client->children);
    free(client->polled);
    free(client);
  }
}

void sandwire_forking_client_set_options(struct sandwire_forking_client *client,
                                         const struct sandwire_forking_options *options) {
  client->options = *options;
}

static enum sandwire_error fail(struct sandwire_forking_client *client, enum sandwire_error error,
                                const char *detail) {
  client->comms->operation = "fork";
  return sandwire_transport_fail(client->comms, error, detail);
}

/* ---- Children ---- */

static bool reserve_child(struct sandwire_forking_client *client) {
  if (client->child_count < client->capacity) {
    return true;
  }
  size_t capacity = client->capacity == 0 ? 16 : client->capacity * 2;
  struct child *children = realloc(client->children, capacity * sizeof *children);
  if (children) {
    client->children = children;
  }
  struct pollfd *polled = realloc(client->polled, (capacity + 1) * sizeof *polled);
  if (polled) {
    client->polled = polled;
  }
  if (!children || !polled) {
    return false;
  }
  client->capacity = capacity;
  return true;
}

/* By its pid and no other: the program may have children of its own. And without a handler, as it may have one. */
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

/* Until a request is there, or comms has ended; meanwhile children that end are reaped. */
static enum sandwire_error await_request(struct sandwire_forking_client *client) {
  for (;;) {
    reap(client);
    if (client->child_count == 0 || sandwire_comms_has_message(client->comms)) {
      return SANDWIRE_OK; /* to receive is all there is to wait for */
    }
    client->polled[0] = (struct pollfd){.fd = client->comms->fd, .events = POLLIN};
    for (size_t i = 0; i < client->child_count; i++) {
      client->polled[i + 1] = (struct pollfd){.fd = client->children[i].pidfd, .events = POLLIN};
    }
    if (poll(client->polled, client->child_count + 1, -1) < 0) {
      if (errno != EINTR) {
        return fail(client, SANDWIRE_ERROR_SYSTEM, "poll");
      }
    } else if (client->polled[0].revents != 0) {
      return SANDWIRE_OK;
    }
  }
}

/* ---- Forking ---- */

/* -1 with errno. */
static long count_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) {
    return -1;
  }
  long count = 0;
  const struct dirent *entry;
  while ((entry = readdir(tasks)) != NULL) {
    count += entry->d_name[0] != '.';
  }
  (void)closedir(tasks);
  return count;
}

/* SANDWIRE_OK, or why no child can be made now; the host hears it on the set-up socket. */
static enum sandwire_error prepare(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  char detail[80];
  long threads = count_threads();
  long allowed = client->options.max_threads == 0 ? 1 : (long)client->options.max_threads;
  if (threads < 0 || threads > allowed) {
    int error = threads < 0 ? errno : EBUSY;
    snprintf(detail, sizeof detail, "the fork server has %ld threads, %ld can be forked", threads, allowed);
    const char *reason = threads < 0 ? "counting threads needs /proc/self/task" : detail;
    sandwire_fork_request_fail(setup, SANDWIRE_STEP_FORK_SERVER, error, reason);
    return fail(client, SANDWIRE_ERROR_UNSUPPORTED, reason);
  }
  int error = reserve_child(client) ? 0 : ENOMEM;
  const char *reason = "memory";
  if (error == 0 && client->options.before_fork) {
    error = client->options.before_fork(client->options.context);
    reason = "before_fork";
  }
  if (error != 0) {
    sandwire_fork_request_fail(setup, SANDWIRE_STEP_FORK_SERVER, error, reason);
    errno = error;
    return fail(client, SANDWIRE_ERROR_SYSTEM, reason);
  }
  return SANDWIRE_OK;
}

/* In the child: nothing of the fork server's own business comes along. */
static void become_child(struct sandwire_forking_client *client, const struct sandwire_fork_request *request,
                         struct sandwire_comms *setup, pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) {
    _exit(1);
  }
  (void)close(client->comms->fd);
  for (size_t i = 0; i < client->child_count; i++) {
    (void)close(client->children[i].pidfd);
  }
  client->child_count = 0;
  if (request->from_sandwire) {
    sandwire_forked_child_enter(setup, client->comms, &client->options);
  } else {
    sandwire_forked_child_stay(setup, client->comms, &client->options);
  }
}

static void remember_child(struct sandwire_forking_client *client, pid_t pid) {
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0) {
    client->children[client->child_count++] = (struct child){.pid = pid, .pidfd = pidfd};
    return;
  }
  /* No fd left. It ends soon, or waits for its host, which needs no word of ours. */
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
}

pid_t sandwire_forking_client_wait_and_fork(struct sandwire_forking_client *client) {
  struct sandwire_fork_request request;
  struct sandwire_comms *setup = NULL;
  client->answered = false;
  enum sandwire_error error = await_request(client);
  if (error == SANDWIRE_OK) {
    error = sandwire_fork_request_receive(client->comms, &request);
  }
  if (error == SANDWIRE_OK) {
    error = sandwire_fork_request_answer(client->comms, &request, &setup);
  }
  if (error) {
    return -(pid_t)error;
  }
  client->answered = true;
  if (!request.can_be_met) {
    error = fail(client, SANDWIRE_ERROR_UNSUPPORTED, "the host asks for what only sandbox2's own fork server can do");
  } else {
    error = prepare(client, setup);
  }
  pid_t parent = getpid();
  pid_t pid = error ? -1 : fork();
  if (pid == 0) {
    become_child(client, &request, setup, parent);
    return 0;
  }
  if (error == SANDWIRE_OK && pid < 0) {
    int failure = errno;
    sandwire_fork_request_fail(setup, SANDWIRE_STEP_FORK, failure, "the fork server");
    errno = failure;
    error = fail(client, SANDWIRE_ERROR_SYSTEM, "fork");
  }
  sandwire_comms_destroy(setup);
  if (error) {
    return -(pid_t)error;
  }
  remember_child(client, pid);
  return pid;
}

enum sandwire_error sandwire_forking_client_enter_fork_loop(struct sandwire_forking_client *client) {
  for (;;) {
    pid_t result = sandwire_forking_client_wait_and_fork(client);
    if (result == 0) {
      return SANDWIRE_OK;
    }
    if (result < 0 && !client->answered) {
      return (enum sandwire_error)-result;
    }
  }
}
