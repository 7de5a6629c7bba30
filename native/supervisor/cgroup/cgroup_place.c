#include "cgroup_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static const struct {
  enum cgroup_controller controller;
  const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_PIDS, "pids"}, {CGROUP_CPU, "cpu"}};

enum { CONTROLLERS = sizeof(controllers) / sizeof(controllers[0]) };

int cgroup_write(int directory, const char *file, const char *text) {
  int fd = openat(directory, file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno;
  }
  int error = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
  close(fd);
  return error;
}

long cgroup_read(int directory, const char *file, char *text, size_t size) {
  int fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  ssize_t length = read(fd, text, size - 1);
  int error = errno;
  close(fd);
  if (length < 0) {
    errno = error;
    return -1;
  }
  text[length] = '\0';
  return (long)length;
}

/* The controllers named in a file of the directory; 0 if it cannot be read. */
static unsigned controllers_in(int directory, const char *file) {
  char text[512];
  unsigned found = 0;
  if (cgroup_read(directory, file, text, sizeof(text)) < 0) {
    return 0;
  }
  for (char *rest = text, *word; (word = strsep(&rest, " \n")) != NULL;) {
    for (int i = 0; i < CONTROLLERS; i++) {
      found |= strcmp(word, controllers[i].name) == 0 ? (unsigned)controllers[i].controller : 0;
    }
  }
  return found;
}

/* Switches them on for the children of the directory. */
static int enable(int directory, unsigned wanted) {
  const unsigned missing = wanted & ~controllers_in(directory, "cgroup.subtree_control");
  for (int i = 0; i < CONTROLLERS; i++) {
    if (missing & controllers[i].controller) {
      char text[16];
      snprintf(text, sizeof(text), "+%s", controllers[i].name);
      int error = cgroup_write(directory, "cgroup.subtree_control", text);
      if (error != 0) {
        return error;
      }
    }
  }
  return 0;
}

int cgroup_place_extend(const struct cgroup_place *place, unsigned wanted) {
  if (wanted & ~controllers_in(place->parent_fd, "cgroup.controllers")) {
    return EOPNOTSUPP;
  }
  int error = enable(place->parent_fd, wanted);
  return error != 0 ? error : enable(place->fd, wanted);
}

void cgroup_place_close(struct cgroup_place *place) {
  if (place->fd >= 0) {
    (void)unlinkat(place->parent_fd, place->name, AT_REMOVEDIR); /* what is left in it is the guardian's */
    close(place->fd);
  }
  if (place->parent_fd >= 0) {
    close(place->parent_fd);
  }
  place->fd = place->parent_fd = -1;
}

/* In one directory. Nothing is left of it when it fails. */
static int make_in(struct cgroup_place *place, const char *directory, unsigned wanted) {
  struct statfs kind;
  place->fd = -1;
  place->parent_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (place->parent_fd < 0) {
    return errno;
  }
  int error;
  if (fstatfs(place->parent_fd, &kind) != 0) {
    error = errno;
  } else if (kind.f_type != CGROUP2_SUPER_MAGIC) {
    error = EINVAL;
  } else if (wanted & ~controllers_in(place->parent_fd, "cgroup.controllers")) {
    error = EOPNOTSUPP;
  } else if ((error = enable(place->parent_fd, wanted)) == 0) {
    if (mkdirat(place->parent_fd, place->name, 0755) != 0) {
      error = errno;
    } else {
      place->fd = openat(place->parent_fd, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      error = place->fd < 0 ? errno : enable(place->fd, wanted);
      if (error != 0) {
        (void)unlinkat(place->parent_fd, place->name, AT_REMOVEDIR);
      }
    }
  }
  if (error != 0) {
    if (place->fd >= 0) {
      close(place->fd);
    }
    close(place->parent_fd);
    place->fd = place->parent_fd = -1;
  }
  return error;
}

/* Names in mountinfo have blanks and backslashes as octal numbers (proc(5)). */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from != '\0'; to++) {
    if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
      *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
      from += 4;
    } else {
      *to = *from++;
    }
  }
  *to = '\0';
}

/* Root and mount point of the first cgroup v2 file system. */
static bool find_mount(char root[PATH_MAX], char point[PATH_MAX]) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  char *line = NULL;
  size_t capacity = 0;
  bool found = false;
  while (file != NULL && !found && getline(&line, &capacity, file) > 0) {
    const char *kind = strstr(line, " - ");
    found = kind != NULL && strncmp(kind, " - cgroup2 ", strlen(" - cgroup2 ")) == 0 &&
            sscanf(line, "%*s %*s %*s %4095s %4095s", root, point) == 2;
  }
  free(line);
  if (file != NULL) {
    fclose(file);
  }
  if (found) {
    unescape(root);
    unescape(point);
  }
  return found;
}

/* The directory of our own cgroup; *mount is the length of what is the file system's own. */
static bool find_own(char directory[PATH_MAX], size_t *mount) {
  static char root[PATH_MAX], point[PATH_MAX];
  char text[PATH_MAX];
  if (!find_mount(root, point) || cgroup_read(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) < 0) {
    return false;
  }
  char *own = strncmp(text, "0::", 3) == 0 ? text + 3 : strstr(text, "\n0::");
  if (own == NULL) {
    return false;
  }
  own += *own == '\n' ? 4 : 0;
  own[strcspn(own, "\n")] = '\0';
  /* What is mounted may begin further down than "/"; and outside of it we have no place. */
  const size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
  const bool below = strncmp(own, root, length) == 0 && (own[length] == '/' || own[length] == '\0') &&
                     strstr(own, "/..") == NULL;
  *mount = strlen(point);
  const int size = snprintf(directory, PATH_MAX, "%s%s", point, below ? own + length : "");
  if (size < 0 || size >= PATH_MAX) {
    return false;
  }
  if (directory[size - 1] == '/') {
    directory[size - 1] = '\0';
  }
  return true;
}

static void note(char *tried, size_t size, const char *directory, int error) {
  const size_t length = strlen(tried);
  snprintf(tried + length, size - length, "%s%s: %s", length > 0 ? "; " : "", directory, strerror(error));
}

int cgroup_place_make(struct cgroup_place *place, const char *parent, unsigned wanted, const char *name,
                      char *tried, size_t tried_size) {
  static char directory[PATH_MAX];
  size_t mount = 0;
  place->fd = place->parent_fd = -1;
  tried[0] = '\0';
  snprintf(place->name, sizeof(place->name), "%s", name);
  if (parent[0] != '\0') {
    int error = make_in(place, parent, wanted);
    if (error != 0) {
      note(tried, tried_size, parent, error);
    }
    return error;
  }
  if (!find_own(directory, &mount)) {
    snprintf(tried, tried_size, "there is no cgroup v2 file system");
    return ENODEV;
  }
  int first = 0;
  for (;;) {
    int error = make_in(place, directory, wanted);
    if (error == 0) {
      return 0;
    }
    note(tried, tried_size, directory, error);
    /* The nearest one is what the advice is about, unless the controllers are missing all the way up. */
    first = first == 0 ? error : first;
    char *last = strrchr(directory, '/');
    if (strlen(directory) <= mount || last == NULL || last == directory) {
      return first;
    }
    *last = '\0';
  }
}
