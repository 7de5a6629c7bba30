#include "inherited_fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"

/* Stand-ins are kept above every number that a host can map to. */
enum { ABOVE_TARGETS = SANDWIRE_COMMS_FD + 1 };

/* Each child has stand-ins of its own: the flags of an open file (O_NONBLOCK, F_SETOWN, F_SETSIG) and its
 * locks (flock(2)) are the same for all that share it, and children could talk by them. -1 with errno. */
static int open_null(int flags) {
  const int fd = open("/dev/null", flags | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  const int lifted = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_TARGETS);
  const int error = errno == EINVAL ? EMFILE : errno; /* the number is above RLIMIT_NOFILE */
  (void)close(fd);
  errno = error;
  return lifted;
}

static int open_stand_ins(struct sandwire_inherited_fds *inherited) {
  inherited->null_fd = open_null(O_RDWR);
  if (inherited->null_fd < 0) {
    return -1;
  }
  inherited->closed_fd = open_null(O_PATH);
  if (inherited->closed_fd < 0) {
    const int error = errno;
    (void)close(inherited->null_fd);
    errno = error;
    return -1;
  }
  return 0;
}

/* ---- In the fork server ---- */

static bool is_wake_up(const char *target) {
  return strncmp(target, "anon_inode:", 11) == 0 || strncmp(target, "pipe:", 5) == 0;
}

/* By these the kernel acts for this process, or a process acts on its memory, and a child could bring that
 * about. A child's faults may even go to whoever has the other end (UFFD_FEATURE_EVENT_FORK, userfaultfd(2)).
 */
static bool forbids_fork(const char *target) {
  return strcmp(target, "anon_inode:[io_uring]") == 0 || strcmp(target, "anon_inode:[userfaultfd]") == 0;
}

static bool reserve(struct sandwire_inherited_fds *inherited) {
  if (inherited->count < inherited->capacity) {
    return true;
  }
  const size_t wanted = inherited->capacity == 0 ? 32 : inherited->capacity * 2;
  void *grown = realloc(inherited->fds, wanted * sizeof *inherited->fds);
  if (grown != NULL) {
    inherited->fds = grown;
    inherited->capacity = wanted;
  }
  return grown != NULL;
}

static int list_one(struct sandwire_inherited_fds *inherited, int directory, const char *number, bool is_kept,
                    char *detail, size_t size) {
  char target[32] = "";
  struct stat status;
  const int fd = atoi(number);
  (void)snprintf(detail, size, "fd %s", number);
  if (readlinkat(directory, number, target, sizeof target - 1) < 0 || fstat(fd, &status) != 0) {
    return errno;
  }
  if (forbids_fork(target)) {
    (void)snprintf(detail, size, "fd %s, %s", number, target);
    return EBUSY;
  }
  if (is_kept) {
    return S_ISDIR(status.st_mode) ? EISDIR : 0;
  }
  if (!reserve(inherited)) {
    return ENOMEM;
  }
  inherited->fds[inherited->count++] = (struct sandwire_inherited_fd){
      .fd = fd, .is_wake_up = is_wake_up(target), .device = status.st_dev, .inode = status.st_ino};
  return 0;
}

int sandwire_inherited_fds_list(struct sandwire_inherited_fds *inherited, sandwire_fd_test *is_kept,
                                void *context, char *detail, size_t size) {
  inherited->count = 0;
  (void)snprintf(detail, size, "/proc/self/fd");
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) {
    return errno;
  }
  int result = 0;
  const struct dirent *entry;
  while (result == 0 && (errno = 0, entry = readdir(directory)) != NULL) {
    const int fd = atoi(entry->d_name); /* "." and ".." are 0 */
    if (fd > STDERR_FILENO && fd != dirfd(directory)) {
      result = list_one(inherited, dirfd(directory), entry->d_name, is_kept(fd, context), detail, size);
    }
  }
  result = result != 0 ? result : errno;
  (void)closedir(directory);
  if (result == 0 && inherited->count > 0 && open_stand_ins(inherited) != 0) {
    result = errno;
    (void)snprintf(detail, size, "/dev/null");
  }
  if (result != 0) {
    inherited->count = 0;
  }
  return result;
}

void sandwire_inherited_fds_close(struct sandwire_inherited_fds *inherited) {
  if (inherited->count > 0) {
    (void)close(inherited->null_fd);
    (void)close(inherited->closed_fd);
  }
  inherited->count = 0;
}

void sandwire_inherited_fds_destroy(struct sandwire_inherited_fds *inherited) {
  sandwire_inherited_fds_close(inherited);
  free(inherited->fds);
  *inherited = (struct sandwire_inherited_fds){.fds = NULL};
}

/* ---- In the child ---- */

int sandwire_inherited_fds_replace(const struct sandwire_inherited_fds *inherited) {
  for (size_t i = 0; i < inherited->count; i++) {
    const struct sandwire_inherited_fd *listed = &inherited->fds[i];
    struct stat status;
    /* What the fork itself has replaced stays: libuv makes new pipes for signals then (pthread_atfork(3)),
     * and they can have the old numbers. */
    if (fstat(listed->fd, &status) != 0 || status.st_dev != listed->device ||
        status.st_ino != listed->inode) {
      continue;
    }
    if (dup3(listed->is_wake_up ? inherited->null_fd : inherited->closed_fd, listed->fd, O_CLOEXEC) < 0) {
      return errno;
    }
  }
  if (inherited->count > 0 && (close(inherited->null_fd) != 0 || close(inherited->closed_fd) != 0)) {
    return errno;
  }
  return 0;
}
