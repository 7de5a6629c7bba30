#include "shared_memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line of /proc/[pid]/maps (proc_pid_maps(5)): range, permissions, offset, device, inode, name. */
static bool is_shared(const char *line, char *name, size_t size) {
  char permissions[5] = "";
  int name_at = 0;
  if (sscanf(line, "%*x-%*x %4s %*x %*x:%*x %*u %n", permissions, &name_at) != 1 || name_at == 0) {
    return false;
  }
  /* libuv's rings are made anew in a child, which forgets those of its parent without a look at them. */
  if (permissions[1] != 'w' || permissions[3] != 's' ||
      strncmp(line + name_at, "anon_inode:[io_uring]", 21) == 0) {
    return false;
  }
  snprintf(name, size, "%.*s", (int)strcspn(line + name_at, "\n"), line + name_at);
  return true;
}

int sandwire_find_shared_memory(char *name, size_t size) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) {
    return -1;
  }
  char *line = NULL;
  size_t capacity = 0;
  bool found = false;
  while (!found && getline(&line, &capacity, maps) > 0) {
    found = is_shared(line, name, size);
  }
  int result = found ? 1 : ferror(maps) ? -1 : 0;
  free(line);
  (void)fclose(maps);
  return result;
}
