#include "open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MAX_LINKS = 40,  /* the kernel's limit (MAXSYMLINKS in linux/namei.h) */
  MAX_ATTEMPTS = 8 /* to open a file that another process makes and removes at the same time */
};

/* A path that is followed component by component. */
struct walk {
  int directory; /* O_PATH */
  char rest[PATH_MAX];
  int links;
  const struct open_file_wish *wish;
  struct open_file_result *result;
};

static void fail(struct walk *walk, enum open_file_problem problem, int error) {
  walk->result->problem = problem;
  walk->result->error = error;
}

/* Takes fd over in every case. */
static bool enter(struct walk *walk, int fd) {
  const int error = errno;
  if (walk->directory >= 0) {
    close(walk->directory);
  }
  walk->directory = fd;
  if (fd < 0) {
    fail(walk, OPEN_FILE_FAILED, error);
  }
  return fd >= 0;
}

/* Puts path before the rest. */
static bool go_on_with(struct walk *walk, const char *path, const char *left) {
  char whole[PATH_MAX];
  const int length = snprintf(whole, sizeof whole, "%s%s%s", path, left[0] == '\0' ? "" : "/", left);
  if (length < 0 || length >= (int)sizeof whole) {
    fail(walk, OPEN_FILE_FAILED, ENAMETOOLONG);
    return false;
  }
  memcpy(walk->rest, whole, (size_t)length + 1);
  return path[0] != '/' || enter(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static void note_place(struct walk *walk, const char *name) {
  char link[40], *at = walk->result->at;
  const size_t size = sizeof walk->result->at;
  snprintf(link, sizeof link, "/proc/self/fd/%d", walk->directory);
  ssize_t length = readlink(link, at, size - 1);
  length = length < 0 ? 0 : length == 1 ? 0 : length; /* "/" */
  snprintf(at + length, size - (size_t)length, "/%s", name);
}

/* link: an O_PATH fd of the link itself, so that the same link is checked and read. */
static bool follow(struct walk *walk, int link, const struct stat *status, const char *left) {
  char target[PATH_MAX];
  const ssize_t length = readlinkat(link, "", target, sizeof target - 1);
  if (!walk->wish->trusts_root || status->st_uid != 0) {
    walk->result->owner = status->st_uid;
    fail(walk, OPEN_FILE_LINK, ELOOP);
    return false;
  }
  if (length <= 0 || ++walk->links > MAX_LINKS) {
    fail(walk, OPEN_FILE_FAILED, length < 0 ? errno : length == 0 ? ENOENT : ELOOP);
    return false;
  }
  target[length] = '\0';
  return go_on_with(walk, target, left);
}

/* found: an O_PATH fd, which opens nothing yet. Whatever else is put at this path, this file is opened. */
static void open_found(struct walk *walk, int found, const struct stat *status) {
  const struct open_file_wish *wish = walk->wish;
  const bool is_regular = S_ISREG(status->st_mode);
  if (S_ISDIR(status->st_mode)) {
    fail(walk, OPEN_FILE_FAILED, EISDIR);
  } else if (!is_regular && !wish->takes_any_kind) {
    fail(walk, OPEN_FILE_NOT_REGULAR, EINVAL);
  } else if (is_regular && wish->writes && status->st_nlink > 1 && !wish->follows_links) {
    fail(walk, OPEN_FILE_MANY_NAMES, EMLINK);
  } else {
    char name[40];
    snprintf(name, sizeof name, "/proc/self/fd/%d", found);
    const int how = wish->writes ? O_WRONLY | (wish->appends ? O_APPEND : 0) : O_RDONLY;
    /* O_NONBLOCK: does not wait for the other end of a FIFO, the carrier of a modem, or a lease. */
    const int fd = open(name, how | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const bool empties = is_regular && wish->writes && !wish->appends;
    if (fd < 0 || (empties && ftruncate(fd, 0) != 0) || fcntl(fd, F_SETFL, how & O_APPEND) != 0) {
      fail(walk, OPEN_FILE_FAILED, errno);
      if (fd >= 0) {
        close(fd);
      }
      return;
    }
    walk->result->fd = fd;
  }
}

static int make(const struct walk *walk, const char *name) {
  const int how = O_WRONLY | (walk->wish->appends ? O_APPEND : 0);
  return openat(walk->directory, name, how | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0666);
}

/* Handles the first component, which is the last one if nothing is left after it. Returns whether there is
 * more to do. */
static bool step(struct walk *walk, const char *name, const char *left, bool is_last) {
  for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    int found = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found < 0 && errno == ENOENT && is_last && walk->wish->writes) {
      walk->result->fd = make(walk, name);
      if (walk->result->fd < 0 && errno == EEXIST) {
        continue; /* another process was faster */
      }
      if (walk->result->fd < 0) {
        fail(walk, OPEN_FILE_FAILED, errno);
      }
      return false;
    }
    struct stat status;
    if (found < 0 || fstat(found, &status) != 0) {
      fail(walk, OPEN_FILE_FAILED, errno);
    } else if (S_ISLNK(status.st_mode)) {
      const bool goes_on = follow(walk, found, &status, left);
      close(found);
      return goes_on;
    } else if (!is_last) {
      return enter(walk, found); /* the next step fails if it is not a directory: ENOTDIR */
    } else {
      open_found(walk, found, &status);
    }
    if (found >= 0) {
      close(found);
    }
    return false;
  }
  fail(walk, OPEN_FILE_FAILED, EBUSY);
  return false;
}

/* Follows the kernel's own rules, which know more kinds of links: those in /proc lead to objects without a
 * path. */
static void open_following(struct walk *walk, const char *path) {
  const int how = O_WRONLY | (walk->wish->appends ? O_APPEND : 0);
  struct stat status;
  int found = open(path, O_PATH | O_CLOEXEC);
  if (found < 0 && errno == ENOENT && walk->wish->writes) {
    /* This does not wait for a file that another process puts there meanwhile, either. */
    found = open(path, how | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
  }
  if (found < 0 || fstat(found, &status) != 0) {
    fail(walk, OPEN_FILE_FAILED, errno);
  } else {
    open_found(walk, found, &status);
  }
  if (found >= 0) {
    close(found);
  }
}

void open_file(const char *path, const struct open_file_wish *wish, struct open_file_result *result) {
  struct walk walk = {.directory = -1, .wish = wish, .result = result};
  result->fd = -1;
  result->problem = OPEN_FILE_FAILED;
  snprintf(result->at, sizeof result->at, "%s", path);
  if (wish->follows_links) {
    open_following(&walk, path);
    return;
  }
  bool goes_on = (path[0] == '/' || enter(&walk, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC))) &&
                 go_on_with(&walk, path, "");
  while (goes_on) {
    char name[NAME_MAX + 1];
    char left[PATH_MAX];
    const char *at = walk.rest + strspn(walk.rest, "/");
    const size_t length = strcspn(at, "/");
    if (length == 0 || length >= sizeof name) { /* "/", or a path that ends in one */
      fail(&walk, OPEN_FILE_FAILED, length == 0 ? EISDIR : ENAMETOOLONG);
      break;
    }
    memcpy(name, at, length);
    name[length] = '\0';
    const bool is_last = at[length] == '\0';
    snprintf(left, sizeof left, "%s", at + length + (is_last ? 0 : 1));
    note_place(&walk, name);
    memcpy(walk.rest, left, sizeof left);
    goes_on = step(&walk, name, left, is_last);
  }
  if (walk.directory >= 0) {
    close(walk.directory);
  }
}

int open_terminal_again(int fd, bool writes) {
  if (!isatty(fd)) {
    return -1;
  }
  char name[40];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const int again = open(name, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (again >= 0 && fcntl(again, F_SETFL, 0) != 0) {
    close(again);
    return -1;
  }
  return again;
}
