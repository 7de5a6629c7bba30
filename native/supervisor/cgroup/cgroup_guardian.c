#include "cgroup_guardian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "privileges.h"

/* What is killed with the supervisor takes a moment to be gone: some ten seconds at most, in steps of 5 ms.
 */
enum { ATTEMPTS = 2000, PAUSE_NS = 5000000 };

/* When a process began, in ticks since boot: together with the pid it is unique. 0 if there is none. */
static unsigned long long start_of(long pid) {
  char path[64], text[1024];
  snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
  if (cgroup_read(AT_FDCWD, path, text, sizeof(text)) <= 0) {
    return 0;
  }
  unsigned long long start = 0;
  const char *after_name = strrchr(text, ')'); /* the name may hold anything */
  if (after_name == NULL ||
      sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
             &start) != 1) {
    return 0;
  }
  return start;
}

void cgroup_guardian_name(char *name, size_t size) {
  static unsigned count;
  snprintf(name, size, "sandwire-%ld-%llu-%u", (long)getpid(), start_of(getpid()), count++);
}

/* Removes the cgroups of runs in it, and itself. True if all are gone. */
static bool remove_all(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT;
  }
  DIR *directory = fdopendir(fd);
  if (directory == NULL) {
    close(fd);
    return false;
  }
  const struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (strncmp(entry->d_name, "run-", 4) == 0) {
      (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR); /* if it is still in use, the last line here fails */
    }
  }
  closedir(directory);
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

void cgroup_guardian_sweep(int directory) {
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = fd < 0 ? NULL : fdopendir(fd);
  if (list == NULL) {
    if (fd >= 0) {
      close(fd);
    }
    return;
  }
  const struct dirent *entry;
  while ((entry = readdir(list)) != NULL) {
    long pid;
    unsigned long long start;
    int end = 0;
    if (sscanf(entry->d_name, "sandwire-%ld-%llu-%*u%n", &pid, &start, &end) == 2 &&
        entry->d_name[end] == '\0' && start_of(pid) != start) {
      (void)remove_all(directory, entry->d_name);
    }
  }
  closedir(list);
}

/* In the guardian, with the host's privileges. */
_Noreturn static void guard(int alive_fd, const struct cgroup_place *place) {
  char byte;
  int parent = place->parent_fd;
  prctl(PR_SET_NAME, "sandwire-guard", 0, 0, 0);
  /* A copy of any other fd would keep open what the supervisor closes. */
  int keep[2] = {alive_fd < parent ? alive_fd : parent, alive_fd < parent ? parent : alive_fd};
  if (setsid() < 0 || sandwire_close_all_fds_but(keep, 2) != 0) {
    _exit(1);
  }
  while (read(alive_fd, &byte, 1) < 0 && errno == EINTR) {
  }
  for (int i = 0; i < ATTEMPTS && !remove_all(parent, place->name); i++) {
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
  }
  _exit(0);
}

static void on_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  struct cgroup_guardian *guardian = (struct cgroup_guardian *)process; /* its first member */
  close(guardian->alive_fd);
  guardian->started = false; /* the next run that needs it starts another */
}

bool cgroup_guardian_start(struct cgroup_guardian *guardian, const struct cgroup_place *place) {
  int alive[2];
  if (guardian->started) {
    return true;
  }
  process_init(&guardian->process);
  if (pipe2(alive, O_CLOEXEC) != 0) {
    return false;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(alive[1]);
    guard(alive[0], place);
  }
  int error = errno;
  close(alive[0]);
  errno = error;
  if (pid < 0 || !process_watch(&guardian->process, pid, on_end)) {
    error = errno;
    close(alive[1]);
    errno = error;
    return false;
  }
  guardian->alive_fd = alive[1];
  guardian->started = true;
  return true;
}
