#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount_source.h"
#include "sandwire/wire.generated.h"

/* From linux/landlock.h and the syscall table, the same on all architectures; many systems' headers are older
 * than the kernels they run on. */
enum {
  SYSCALL_CREATE_RULESET = 444,
  SYSCALL_ADD_RULE = 445,
  CREATE_RULESET_VERSION = 1,
  RULE_PATH_BENEATH = 1,
  SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
  SCOPE_SIGNAL = 1 << 1,
};
enum {
  EXECUTE = 1 << 0,
  WRITE_FILE = 1 << 1,
  READ_FILE = 1 << 2,
  READ_DIR = 1 << 3,
  MAKE_AND_REMOVE = 0x1ff0, /* REMOVE_DIR to MAKE_SYM, bits 4 to 12 */
  REFER = 1 << 13,          /* ABI 2 */
  TRUNCATE = 1 << 14,       /* ABI 3 */
  IOCTL_DEV = 1 << 15,      /* ABI 5 */
  OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV,
  CHANGES = WRITE_FILE | MAKE_AND_REMOVE | REFER | TRUNCATE | IOCTL_DEV,
  ALL = EXECUTE | READ_FILE | READ_DIR | CHANGES,
};

struct ruleset_attributes {
  uint64_t file_system, network, scope;
};

struct path_beneath {
  uint64_t allowed;
  int32_t parent;
} __attribute__((packed));

int landlock_abi(void) {
  return (int)syscall(SYSCALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
}

static unsigned known_to(int abi) {
  return abi >= 5 ? ALL : abi >= 3 ? ALL & ~IOCTL_DEV : ALL & ~(IOCTL_DEV | TRUNCATE);
}

/* Depends on the kind of the fd: the rule of a file may only have rights of files, and a device, pipe or
 * socket can be written to on a read-only mount, too (path_resolution(7) exempts them from EROFS). */
static int allow(int rules, int fd, unsigned rights, unsigned known) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    return -1;
  }
  if (!S_ISDIR(status.st_mode)) {
    rights &= OF_FILES;
    if (!S_ISREG(status.st_mode)) {
      rights |= WRITE_FILE | IOCTL_DEV;
    }
  }
  struct path_beneath rule = {.allowed = rights & known, .parent = fd};
  /* EBADFD: it is in no file system that has paths (a memfd, a pipe); Landlock does not limit it. */
  return syscall(SYSCALL_ADD_RULE, rules, RULE_PATH_BENEATH, &rule, 0) == 0 || errno == EBADFD ? 0 : -1;
}

/* Takes the fd over. */
static int allow_opened(int rules, int fd, unsigned rights, unsigned known) {
  if (fd < 0) {
    return -1;
  }
  int result = allow(rules, fd, rights, known);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static int allow_path(int rules, const char *path, unsigned rights, unsigned known) {
  return allow_opened(rules, open(path, O_PATH | O_CLOEXEC), rights, known);
}

static unsigned rights_of(const struct mount_request *mount) {
  unsigned rights = READ_FILE | READ_DIR;
  if (mount->writable) {
    rights |= CHANGES;
  }
  if (mount->executable ||
      (!mount->writable && mount->kind != SANDWIRE_MOUNT_PROC && mount->kind != SANDWIRE_MOUNT_SYSFS)) {
    rights |= EXECUTE;
  }
  return rights;
}

/* True for what only a root of the sandbox's own can show. */
static bool needs_mount(const struct mount_request *mount) {
  return (mount->kind != SANDWIRE_MOUNT_FILE && mount->kind != SANDWIRE_MOUNT_DIRECTORY) ||
         strcmp(mount->inside, mount->outside) != 0;
}

static int allow_mounts(int rules, const struct sandbox_description *description, unsigned known,
                        const char **object) {
  for (size_t i = 0; i < description->mount_count; i++) {
    const struct mount_request *mount = &description->mounts[i];
    *object = mount->inside;
    if (description->landlock_only && needs_mount(mount)) {
      errno = EXDEV;
      return -1;
    }
    if (mount->kind == SANDWIRE_MOUNT_SYMLINK || mount->kind == SANDWIRE_MOUNT_EMPTY_DIRECTORY) {
      continue;
    }
    int place =
        description->landlock_only ? mount_source_open(mount) : open(mount->inside, O_PATH | O_CLOEXEC);
    if (allow_opened(rules, place, rights_of(mount), known) != 0) {
      return -1;
    }
  }
  return 0;
}

static int fill(int rules, const struct sandbox_description *description, unsigned known, int program,
                const int *fds, size_t fd_count, const char **object) {
  *object = "/";
  unsigned root = description->root_writable ? ALL & ~EXECUTE : READ_DIR;
  if (!description->landlock_only && allow_path(rules, "/", root, known) != 0) {
    return -1;
  }
  *object = "the program";
  if (program >= 0 && allow(rules, program, EXECUTE | READ_FILE, known) != 0) {
    return -1;
  }
  /* A directory among the fds is meant to be used. With mounts there is none: the host refuses it. */
  *object = "a directory among the fds";
  for (size_t i = 0; description->landlock_only && i < fd_count; i++) {
    struct stat status;
    if (fstat(fds[i], &status) != 0 ||
        (S_ISDIR(status.st_mode) && allow(rules, fds[i], ALL & ~EXECUTE, known) != 0)) {
      return -1;
    }
  }
  return allow_mounts(rules, description, known, object);
}

static int make_rules(const struct sandbox_description *description, int program, const int *fds,
                      size_t fd_count, const char **object) {
  const int abi = landlock_abi();
  *object = "ruleset";
  if (abi < (description->landlock_only ? LANDLOCK_ONLY_ABI : LANDLOCK_FENCE_ABI)) {
    if (!description->landlock_only) {
      return LANDLOCK_NOT_NEEDED;
    }
    *object = "ABI 6";
    errno = EOPNOTSUPP;
    return -1;
  }
  const unsigned known = known_to(abi);
  struct ruleset_attributes attributes = {.file_system = known};
  size_t size = sizeof(attributes.file_system); /* what ABI 1 to 3 know */
  if (abi >= LANDLOCK_ONLY_ABI) {
    size = sizeof(attributes);
    /* Abstract sockets belong to the network namespace: where it is others' too, so are they. */
    const bool has_others =
        description->network == SANDWIRE_NETWORK_HOST || description->network == SANDWIRE_NETWORK_SHARED;
    attributes.scope = SCOPE_SIGNAL | (has_others ? 0 : SCOPE_ABSTRACT_UNIX_SOCKET);
  }
  int rules = (int)syscall(SYSCALL_CREATE_RULESET, &attributes, size, 0);
  if (rules < 0) {
    return -1;
  }
  if (fill(rules, description, known, program, fds, fd_count, object) != 0) {
    int error = errno;
    close(rules);
    errno = error;
    return -1;
  }
  return rules;
}

int landlock_rules(const struct start_request *request, const struct sandbox_description *description,
                   int program, const int *fds, struct setup_report *report) {
  if (!request->landlock_fence && !description->landlock_only) {
    return LANDLOCK_NOT_NEEDED;
  }
  const char *object = "";
  int rules = make_rules(description, program, fds, request->fd_count - 1, &object);
  if (rules == -1) {
    setup_fail(report, SANDWIRE_STEP_LANDLOCK, object);
  }
  return rules;
}
