#include "other_threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The state in /proc/[tid]/stat, proc(5); 'X' for a thread that has ended. */
static char state_of(int tasks, const char *tid) {
  char path[300], text[256];
  snprintf(path, sizeof path, "%s/stat", tid);
  int file = openat(tasks, path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return 'X';
  }
  ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  text[size > 0 ? size : 0] = '\0';
  const char *name_end = strrchr(text, ')'); /* a thread's name may hold any character */
  return name_end != NULL && name_end[1] == ' ' ? name_end[2] : 'X';
}

/* 0, EBUSY or another errno. */
static int look(void) {
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) {
    return errno;
  }
  const long self = syscall(SYS_gettid);
  int result = 0;
  const struct dirent *entry;
  while (result == 0 && (entry = readdir(tasks)) != NULL) {
    if (entry->d_name[0] == '.' || atol(entry->d_name) == self) {
      continue;
    }
    const char state = state_of(dirfd(tasks), entry->d_name);
    result = state == 'S' || state == 'X' ? 0 : EBUSY;
  }
  closedir(tasks);
  return result;
}

int other_threads_await_sleep(int limit_ms) {
  int result;
  for (int tenths = 0; (result = look()) == EBUSY && tenths < limit_ms * 10; tenths++) {
    const struct timespec tenth = {.tv_sec = 0, .tv_nsec = 100000};
    nanosleep(&tenth, NULL);
  }
  return result;
}
