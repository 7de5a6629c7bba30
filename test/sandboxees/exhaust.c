/* exhaust memory|touch|touch-in-child|stack|file|files|processes|data|locked: uses a resource up until a call
 * fails, and exits with the errno. map MEGABYTES, frames MEGABYTES: maps and uses this much, or has this much
 * on the stack, and exits with 0. core: a child crashes; prints the size of the core file it leaves. raise:
 * tries to raise its limits. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int exhaust_memory(void) {
  for (;;) {
    if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
      return errno;
    }
  }
}

static int exhaust_touched(void) {
  for (;;) {
    void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return errno;
    }
    memset(memory, 1, 1 << 20);
  }
}

/* A child exhausts it while its parent does nothing. */
static int exhaust_in_child(void) {
  if (fork() == 0) {
    _exit(exhaust_touched());
  }
  for (;;) {
    pause();
  }
}

static int exhaust_data(void) {
  for (;;) {
    if (sbrk(1 << 20) == (void *)-1) {
      return errno;
    }
  }
}

static int exhaust_locked(void) {
  for (;;) {
    void *memory = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mlock(memory, 1 << 16) != 0) {
      return errno;
    }
  }
}

static int leave_core(void) {
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    abort();
  }
  if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
    return 201;
  }
  struct dirent *entry;
  struct stat found;
  long size = 0;
  DIR *directory = opendir(".");
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    if (strncmp(entry->d_name, "core", 4) == 0 && stat(entry->d_name, &found) == 0) {
      size = (long)found.st_size;
    }
  }
  printf("%ld\n", size);
  return 0;
}

static int raise_limits(void) {
  const __rlimit_resource_t resources[] = {RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_CPU, RLIMIT_FSIZE};
  for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
    struct rlimit limit;
    if (getrlimit(resources[i], &limit) != 0 || limit.rlim_cur != limit.rlim_max) {
      return 201;
    }
    limit.rlim_max++;
    if (setrlimit(resources[i], &limit) == 0) {
      return 0;
    }
    pid_t child = fork();
    if (child == 0) {
      _exit(setrlimit(resources[i], &limit) == 0 ? 0 : errno);
    }
    int status;
    if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != EPERM) {
      return 0;
    }
  }
  return errno;
}

static int exhaust_stack(int depth) {
  volatile char frame[65536];
  frame[0] = (char)depth;
  return depth == INT_MAX ? 0 : exhaust_stack(depth + 1) + frame[0];
}

static int map_and_use(size_t size) {
  char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return errno;
  }
  memset(memory, 1, size);
  return memory[size - 1] - 1;
}

static int use_stack(size_t size) {
  volatile char frame[65536];
  frame[0] = frame[sizeof frame - 1] = 0;
  return size <= sizeof frame ? frame[0] : use_stack(size - sizeof frame) + frame[sizeof frame - 1];
}

static int exhaust_file(void) {
  static char block[65536];
  int fd = open("/tmp/big", O_CREAT | O_WRONLY, 0600);
  if (fd < 0) {
    return errno;
  }
  for (;;) {
    if (write(fd, block, sizeof block) < 0) {
      return errno;
    }
  }
}

static int exhaust_files(void) {
  for (;;) {
    if (dup(0) < 0) {
      return errno;
    }
  }
}

static int exhaust_processes(void) {
  for (;;) {
    pid_t pid = fork();
    if (pid < 0) {
      return errno;
    }
    if (pid == 0) {
      for (;;) {
        pause();
      }
    }
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "memory") == 0) {
    return exhaust_memory();
  }
  if (strcmp(what, "touch") == 0) {
    return exhaust_touched();
  }
  if (strcmp(what, "touch-in-child") == 0) {
    return exhaust_in_child();
  }
  if (strcmp(what, "core") == 0) {
    return leave_core();
  }
  if (strcmp(what, "raise") == 0) {
    return raise_limits();
  }
  if (strcmp(what, "data") == 0) {
    return exhaust_data();
  }
  if (strcmp(what, "locked") == 0) {
    return exhaust_locked();
  }
  if (strcmp(what, "stack") == 0) {
    return exhaust_stack(0);
  }
  if (argc > 2 && strcmp(what, "map") == 0) {
    return map_and_use((size_t)atoi(argv[2]) << 20);
  }
  if (argc > 2 && strcmp(what, "frames") == 0) {
    return use_stack((size_t)atoi(argv[2]) << 20);
  }
  if (strcmp(what, "file") == 0) {
    return exhaust_file();
  }
  if (strcmp(what, "files") == 0) {
    return exhaust_files();
  }
  if (strcmp(what, "processes") == 0) {
    return exhaust_processes();
  }
  return 200;
}
