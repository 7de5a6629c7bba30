#include "shared_network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/host_privileges.h"
#include "id_map.h"
#include "loopback.h"
#include "sandwire/wire.generated.h"

/* Held as descriptors; no process needs to be in them. */
struct shared_network {
  int user; /* the user namespace that owns it, and that nobody is in */
  int network;
  int error; /* why there is none */
};

static struct shared_network empty = {.user = -1, .network = -1}, shared = {.user = -1, .network = -1};

static struct shared_network *wanted_by(const struct sandbox_description *description) {
  switch (description->network) {
    case SANDWIRE_NETWORK_EMPTY:
      return &empty;
    case SANDWIRE_NETWORK_SHARED:
      return &shared;
    default:
      return NULL;
  }
}

/* In the child. Without privilege a network namespace can only be had in a user namespace of one's own
 * (network_namespaces(7)), in which the same ids keep their numbers. With privilege it is so too: whoever has
 * our uid may then enter the network, as the children of fork servers do, which have no privilege left. */
static int enter_user_namespace(void) {
  char line[64];
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0 || id_map_write(getpid(), "setgroups", "deny") != 0) {
    return -1;
  }
  snprintf(line, sizeof(line), "%u %u 1", (unsigned)uid, (unsigned)uid);
  if (id_map_write(getpid(), "uid_map", line) != 0) {
    return -1;
  }
  snprintf(line, sizeof(line), "%u %u 1", (unsigned)gid, (unsigned)gid);
  return id_map_write(getpid(), "gid_map", line);
}

/* In the child, which shares its descriptors with the supervisor. */
static int make(struct shared_network *made) {
  const char *object;
  if (enter_user_namespace() != 0 || unshare(CLONE_NEWNET) != 0 || loopback_bring_up(&object) != 0) {
    return -1;
  }
  made->user = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
  made->network = made->user < 0 ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  return made->network < 0 ? -1 : 0;
}

static void close_if_open(int *fd) {
  if (*fd >= 0) {
    close(*fd);
  }
  *fd = -1;
}

/* The supervisor waits for its child here, some 0.6 ms: once for each kind of network in its life, and not
 * longer than it would take to make a sandbox with a network of its own. */
static void make_by_child(struct shared_network *wanted) {
  struct shared_network *made =
      mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) {
    wanted->error = errno;
    return;
  }
  *made = (struct shared_network){.user = -1, .network = -1, .error = EAGAIN}; /* should it be killed */
  const pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) {
    made->error = make(made) == 0 ? 0 : errno;
    _exit(0);
  }
  wanted->error = child < 0 ? errno : EAGAIN;
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  if (child > 0) {
    *wanted = *made;
  }
  if (wanted->error != 0) { /* what the child has opened is ours, and it may have been killed at any moment */
    close_if_open(&wanted->user);
    close_if_open(&wanted->network);
  }
  munmap(made, sizeof(*made));
}

/* Then it is not tried again. Processes, memory, descriptors, or namespaces may be there the next time. */
static bool is_lasting(int error) {
  return error == EPERM || error == EACCES || error == EINVAL || error == ENOSYS;
}

bool shared_network_prepare(const struct sandbox_description *description) {
  struct shared_network *wanted = wanted_by(description);
  if (wanted == NULL) {
    return false;
  }
  if (!host_can_mount() && (host_can_map_ids(description) || description->outside_uid_set)) {
    /* Others' ids are not in the user namespace in between. */
    errno = EPERM;
    return false;
  }
  if (wanted->network < 0 && !is_lasting(wanted->error)) {
    make_by_child(wanted);
  }
  errno = wanted->error;
  return wanted->error == 0;
}

int shared_network_enter(const struct sandbox_description *description) {
  const struct shared_network *wanted = wanted_by(description);
  if (!host_can_mount() && setns(wanted->user, CLONE_NEWUSER) != 0) {
    return -1;
  }
  return setns(wanted->network, CLONE_NEWNET);
}
