#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "entry/mount_source.h"
#include "sandwire/wire.generated.h"

/* Mounts are made by file descriptor (Linux 5.2, mount_setattr 5.12) and not by mount(2): a tree gets its
 * attributes, on all its submounts, before it is reachable, and the root needs no directory of the host, not
 * even /tmp, to be built in. Called by number, as glibc 2.31 (Debian 11) has no names for these calls. */

/* The tree at a place as a mount of its own, not attached anywhere. */
static int clone_tree(int place, bool with_submounts) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (with_submounts ? AT_RECURSIVE : 0);
  return (int)syscall(SYS_open_tree, place, "", flags);
}

static int set_attributes(int fd, const char *path, unsigned flags, uint64_t attributes) {
  struct mount_attr request = {.attr_set = attributes};
  return (int)syscall(SYS_mount_setattr, fd, path, flags, &request, sizeof(request));
}

static int attach(int mount, int target) {
  return (int)syscall(SYS_move_mount, mount, "", target, "",
                      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* A new file system, not attached anywhere. options: name, value, name, value, …, NULL; a NULL value is a
 * flag. */
static int new_file_system(const char *type, const char *const *options, unsigned attributes) {
  int context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (context < 0) {
    return -1;
  }
  int mount = -1;
  bool configured = true;
  for (; configured && options[0] != NULL; options += 2) {
    configured = syscall(SYS_fsconfig, context, options[1] == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
                         options[0], options[1], 0) == 0;
  }
  if (configured && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
    mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
  }
  int error = errno;
  close(context);
  errno = error;
  return mount;
}

/* That a tmpfs has, however small it is. */
enum { FEW_INODES = 1024 };

static bool has_source(const struct mount_request *mount) {
  return mount->kind == SANDWIRE_MOUNT_FILE || mount->kind == SANDWIRE_MOUNT_DIRECTORY;
}

bool mounts_have_sources(const struct sandbox_description *description) {
  size_t i = 0;
  while (i < description->mount_count && !has_source(&description->mounts[i])) {
    i++;
  }
  return i < description->mount_count;
}

void mounts_open_sources(struct sandbox_description *description, struct source_identity *identities,
                         struct setup_report *report) {
  for (size_t i = 0; i < description->mount_count; i++) {
    struct mount_request *mount = &description->mounts[i];
    if (!has_source(mount)) {
      continue;
    }
    /* A directory must bring its submounts: in a user namespace of one's own the kernel refuses to uncover
     * what lies under them (EINVAL). */
    struct stat status;
    int place = mount_source_open(mount);
    mount->source = place < 0 ? -1 : clone_tree(place, mount->kind == SANDWIRE_MOUNT_DIRECTORY);
    if (mount->source < 0 || fstat(mount->source, &status) != 0) {
      setup_fail(report, SANDWIRE_STEP_OPEN_MOUNT_SOURCE, mount->outside);
    }
    close(place);
    identities[i] = (struct source_identity){.device = status.st_dev, .inode = status.st_ino};
  }
}

/* From what the kernel has in memory of the path; EAGAIN when that is not all of it (RESOLVE_CACHED in
 * openat2(2)). */
static int open_cached(const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static bool is_current(const char *path, const struct source_identity *identity) {
  struct statx status;
  int fd = open_cached(path);
  if (fd < 0) {
    return false;
  }
  int result = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status);
  close(fd);
  return result == 0 && makedev(status.stx_dev_major, status.stx_dev_minor) == identity->device &&
         status.stx_ino == identity->inode;
}

bool mounts_are_current(const struct sandbox_description *description,
                        const struct source_identity *identities) {
  for (size_t i = 0; i < description->mount_count; i++) {
    if (has_source(&description->mounts[i]) && !is_current(description->mounts[i].outside, &identities[i])) {
      return false;
    }
  }
  return true;
}

bool mounts_can_be_checked(const struct sandbox_description *description) {
  if (!mounts_have_sources(description)) {
    return true;
  }
  int fd = open_cached("/");
  if (fd >= 0) {
    close(fd);
  }
  return fd >= 0 || errno == EAGAIN;
}

static int open_beneath(int root, const char *path, uint64_t flags) {
  /* No symlink inside is resolved: a writable directory may hold symlinks that an earlier sandboxee made, and
   * they must never steer a mount. */
  struct open_how how = {.flags = flags | O_CLOEXEC,
                         .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* True if what is missing at a place can be made there: not in a directory of the host, which would keep it
 * when the sandbox is gone. */
static bool is_ours(const struct sandbox_description *description, const char *inside) {
  const struct mount_request *nearest = NULL;
  size_t nearest_length = 0;
  for (size_t i = 0; i < description->mount_count; i++) {
    const struct mount_request *mount = &description->mounts[i];
    size_t length = strlen(mount->inside);
    if (length >= nearest_length && strncmp(inside, mount->inside, length) == 0 && inside[length] == '/') {
      nearest = mount;
      nearest_length = length;
    }
  }
  return nearest == NULL || nearest->kind == SANDWIRE_MOUNT_TMPFS ||
         nearest->kind == SANDWIRE_MOUNT_EMPTY_DIRECTORY;
}

/* Opens the parent directory of an absolute path inside root, making the directories that are missing if they
 * may be made, and points *name at the last component. -1 with errno. */
static int open_parent(int root, const char *inside, bool make, const char **name) {
  const char *at = inside + 1; /* begins with '/' */
  const char *last = strrchr(inside, '/') + 1;
  *name = last;
  int directory = open_beneath(root, ".", O_PATH | O_DIRECTORY);
  while (directory >= 0 && at < last) {
    char component[256];
    size_t length = strcspn(at, "/");
    if (length == 0 || length >= sizeof(component)) {
      errno = length == 0 ? EINVAL : ENAMETOOLONG;
      close(directory);
      return -1;
    }
    memcpy(component, at, length);
    component[length] = '\0';
    int next = open_beneath(directory, component, O_PATH | O_DIRECTORY);
    if (next < 0 && errno == ENOENT && !make) {
      errno = EROFS;
    } else if (next < 0 && errno == ENOENT && (mkdirat(directory, component, 0755) == 0 || errno == EEXIST)) {
      next = open_beneath(directory, component, O_PATH | O_DIRECTORY);
    }
    int error = errno;
    close(directory);
    errno = error;
    directory = next;
    at += length + 1;
  }
  return directory;
}

/* Opens the place something is mounted on, making it (a directory, or an empty file) where it is missing and
 * may be made. -1 with errno, EROFS where it may not. */
static int open_target(int root, const char *inside, bool is_directory, bool make) {
  const char *name;
  int parent = open_parent(root, inside, make, &name);
  if (parent < 0) {
    return -1;
  }
  int target = open_beneath(parent, name, O_PATH);
  if (target < 0 && errno == ENOENT && !make) {
    errno = EROFS;
  } else if (target < 0 && errno == ENOENT) {
    bool made;
    if (is_directory) {
      made = mkdirat(parent, name, 0755) == 0;
    } else {
      int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
      made = file >= 0;
      if (made) {
        close(file);
      }
    }
    if (made) {
      target = open_beneath(parent, name, O_PATH);
    }
  }
  int error = errno;
  close(parent);
  errno = error;
  return target;
}

static int make_symlink(int root, const struct mount_request *mount, bool make) {
  if (!make) {
    errno = EROFS;
    return -1;
  }
  const char *name;
  int parent = open_parent(root, mount->inside, make, &name);
  if (parent < 0) {
    return -1;
  }
  int result = symlinkat(mount->outside, parent, name);
  int error = errno;
  close(parent);
  errno = error;
  return result;
}

/* The thing to attach for one entry of the policy, with its attributes set; -1 with errno. */
static int prepare_mount(const struct mount_request *mount) {
  const unsigned harmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  switch (mount->kind) {
    case SANDWIRE_MOUNT_TMPFS: {
      /* An empty file takes none of the size but a kilobyte of the kernel's memory. */
      char size[32];
      char inodes[32];
      snprintf(size, sizeof(size), "%llu", (unsigned long long)mount->size_bytes);
      snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)(mount->size_bytes / 4096 + FEW_INODES));
      const char *options[] = {"mode", "0755", mount->size_bytes > 0 ? "size" : NULL, size, "nr_inodes",
                               inodes, NULL};
      return new_file_system("tmpfs", options, mount->executable ? harmless & ~MOUNT_ATTR_NOEXEC : harmless);
    }
    case SANDWIRE_MOUNT_PROC:
      return new_file_system("proc", (const char *const[]){NULL}, harmless | MOUNT_ATTR_RDONLY);
    case SANDWIRE_MOUNT_SYSFS:
      return new_file_system("sysfs", (const char *const[]){NULL}, harmless | MOUNT_ATTR_RDONLY);
    default:
      break;
  }
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (!mount->writable) {
    attributes |= MOUNT_ATTR_RDONLY;
  } else if (!mount->executable) {
    attributes |= MOUNT_ATTR_NOEXEC;
  }
  struct stat status;
  if (fstat(mount->source, &status) != 0) {
    return -1;
  }
  /* A device node that the policy names as a file (/dev/null) is meant to be used as one. */
  if (mount->kind == SANDWIRE_MOUNT_FILE && S_ISCHR(status.st_mode)) {
    attributes &= ~(uint64_t)MOUNT_ATTR_NODEV;
  }
  if (S_ISDIR(status.st_mode) != (mount->kind == SANDWIRE_MOUNT_DIRECTORY)) {
    errno = S_ISDIR(status.st_mode) ? EISDIR : ENOTDIR;
    return -1;
  }
  unsigned flags = AT_EMPTY_PATH | (mount->kind == SANDWIRE_MOUNT_DIRECTORY ? AT_RECURSIVE : 0);
  return set_attributes(mount->source, "", flags, attributes) == 0 ? mount->source : -1;
}

static void make_one(int root, const struct sandbox_description *description,
                     const struct mount_request *mount, struct setup_report *report) {
  const bool make = is_ours(description, mount->inside);
  if (mount->kind == SANDWIRE_MOUNT_SYMLINK) {
    if (make_symlink(root, mount, make) != 0) {
      setup_fail(report, SANDWIRE_STEP_MOUNT, mount->inside);
    }
    return;
  }
  if (mount->kind == SANDWIRE_MOUNT_EMPTY_DIRECTORY) {
    int made = open_target(root, mount->inside, true, make);
    if (made < 0) {
      setup_fail(report, SANDWIRE_STEP_MOUNT, mount->inside);
    }
    close(made);
    return;
  }
  int prepared = prepare_mount(mount);
  int target = prepared < 0 ? -1 : open_target(root, mount->inside, mount->kind != SANDWIRE_MOUNT_FILE, make);
  if (target < 0 || attach(prepared, target) != 0) {
    int error = errno;
    char detail[SETUP_DETAIL_SIZE];
    bool bound = mount->source >= 0;
    snprintf(detail, sizeof(detail), "%s%s%s", bound ? mount->outside : "", bound ? " at " : "",
             mount->inside);
    errno = error;
    setup_fail(report, SANDWIRE_STEP_MOUNT, detail);
  }
  close(target);
  close(prepared);
}

void mounts_make_root(const struct sandbox_description *description, struct setup_report *report) {
  /* Room for directories and mount points; a writable root is a small scratch disk. */
  const char *options[] = {"mode", "0755", "size", "64m", "nr_inodes", "16k", NULL};
  int root = new_file_system("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (root < 0) {
    setup_fail(report, SANDWIRE_STEP_ROOT, "tmpfs");
  }
  /* Over "/" itself: paths are still looked up from the old root below it, which stays ours until the pivot.
   */
  if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    setup_fail(report, SANDWIRE_STEP_ROOT, "/");
  }
  for (size_t i = 0; i < description->mount_count; i++) {
    make_one(root, description, &description->mounts[i], report);
  }
  /* pivot_root(2): "." twice stacks the old root on the new one, and it can then be let go by the same name.
   */
  if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
      chdir("/") != 0) {
    setup_fail(report, SANDWIRE_STEP_PIVOT, "/");
  }
  uint64_t attributes = description->root_writable ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_RDONLY;
  if (set_attributes(AT_FDCWD, "/", 0, attributes) != 0) {
    setup_fail(report, SANDWIRE_STEP_ROOT, "/");
  }
  close(root);
}
