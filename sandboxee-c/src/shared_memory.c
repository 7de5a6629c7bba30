/* Runs in a fork server, unsandboxed, before it forks. */
#include "shared_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char ring_name[] = "anon_inode:[io_uring]";

/* A line of /proc/[pid]/maps (proc_pid_maps(5)): range, permissions, offset, device, inode, name. */
struct mapping {
  uintptr_t start;
  char permissions[5];
  const char *name;
};

static bool parse(const char *line, struct mapping *mapping) {
  unsigned long start;
  int name_at = 0;
  if (sscanf(line, "%lx-%*x %4s %*x %*x:%*x %*u %n", &start, mapping->permissions, &name_at) != 2 ||
      name_at == 0) {
    return false;
  }
  mapping->start = start;
  mapping->name = line + name_at;
  return true;
}

/* A mapping of a file that is open for writing can be made writable, whatever it is now: the kernel keeps
 * that as VM_MAYWRITE. /proc/self/smaps shows the flag ("mw"), and walks all page tables for it, which takes
 * some milliseconds in a large process. mprotect() answers EACCES without it (do_mprotect_pkey() in
 * mm/mprotect.c), and any other answer is not believed. */
static bool can_become_writable(const struct mapping *mapping) {
  const int present = (mapping->permissions[0] == 'r' ? PROT_READ : PROT_NONE) |
                      (mapping->permissions[2] == 'x' ? PROT_EXEC : PROT_NONE);
  void *page = (void *)mapping->start;
  const size_t size = (size_t)sysconf(_SC_PAGESIZE);
  if (mprotect(page, size, present | PROT_WRITE) != 0) {
    return errno != EACCES;
  }
  (void)mprotect(page, size, present); /* what fails here is refused all the same */
  return true;
}

static bool is_ring(const struct mapping *mapping) {
  return strncmp(mapping->name, ring_name, sizeof ring_name - 1) == 0;
}

static bool is_shared(const struct mapping *mapping) {
  return mapping->permissions[3] == 's' && (mapping->permissions[1] == 'w' || can_become_writable(mapping));
}

static int find_mapping(bool (*matches)(const struct mapping *), char *name, size_t size) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) {
    return -1;
  }
  char *line = NULL;
  size_t capacity = 0;
  bool found = false;
  while (!found && getline(&line, &capacity, maps) > 0) {
    struct mapping mapping;
    found = parse(line, &mapping) && matches(&mapping);
    if (found) {
      (void)snprintf(name, size, "%.*s", (int)strcspn(mapping.name, "\n"), mapping.name);
    }
  }
  int result = found ? 1 : ferror(maps) ? -1 : 0;
  free(line);
  (void)fclose(maps);
  return result;
}

int sandwire_find_shared_memory(char *name, size_t size) {
  return find_mapping(is_shared, name, size);
}

static int find_ring_fd(char *name, size_t size) {
  DIR *directory = opendir("/proc/self/fd");
  if (!directory) {
    return -1;
  }
  bool found = false;
  const struct dirent *entry;
  while (!found && (entry = readdir(directory)) != NULL) {
    char target[sizeof ring_name] = "";
    const ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
    found = length == (ssize_t)sizeof ring_name - 1 && memcmp(target, ring_name, (size_t)length) == 0;
    if (found) {
      (void)snprintf(name, size, "%s, fd %s", ring_name, entry->d_name);
    }
  }
  (void)closedir(directory);
  return found ? 1 : 0;
}

int sandwire_find_ring(char *name, size_t size) {
  const int mapped = find_mapping(is_ring, name, size);
  return mapped != 0 ? mapped : find_ring_fd(name, size);
}
