/* Runs in a fork server, unsandboxed, before it forks. */
#include "shared_memory.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Mappings ---- */

struct mapping {
  void *start;
  bool is_writable;
  const char *name;
};

/* A line of /proc/[pid]/maps (proc_pid_maps(5)): range, permissions, offset, device, inode, name. False: it
 * is no shared mapping, as nearly all are, and nothing more is looked at. The name loses its newline. */
static bool parse_shared(char *line, struct mapping *mapping) {
  const char *permissions = strchr(line, ' ');
  if (permissions == NULL || strlen(permissions) < 5 || permissions[4] != 's') {
    return false;
  }
  unsigned long start;
  int name_at = 0;
  if (sscanf(line, "%lx-%*x %*s %*x %*x:%*x %*u %n", &start, &name_at) != 1 || name_at == 0) {
    *mapping = (struct mapping){.is_writable = true, .name = "a line of /proc/self/maps that is unknown"};
    return true;
  }
  line[strcspn(line, "\n")] = '\0';
  *mapping = (struct mapping){
      .start = (void *)(uintptr_t)start, .is_writable = permissions[2] == 'w', .name = line + name_at};
  return true;
}

/* A mapping of a file that is open for writing can be made writable, whatever it is now: the kernel keeps
 * that as VM_MAYWRITE. /proc/self/smaps shows it ("mw" in VmFlags), but walks all page tables for that, which
 * takes 5 to 20 ms in a Node process of 300 MiB. So it is tried, with a second mapping of the first page:
 * mprotect() fails with EACCES where the flag is missing (do_mprotect_pkey() in mm/mprotect.c). No other
 * answer is believed, nor one that no second mapping can be made (mremap(2), an old_size of 0). */
static bool can_become_writable(const struct mapping *mapping) {
  const size_t size = (size_t)sysconf(_SC_PAGESIZE);
  void *second = mremap(mapping->start, 0, size, MREMAP_MAYMOVE);
  if (second == MAP_FAILED) {
    return true;
  }
  const bool is_refused = mprotect(second, size, PROT_READ | PROT_WRITE) != 0 && errno == EACCES;
  (void)munmap(second, size);
  return !is_refused;
}

static bool begins_with(const char *text, const char *beginning) {
  return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool ends_with(const char *text, const char *end) {
  const size_t size = strlen(text), end_size = strlen(end);
  return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* A regular file, or one without a name: memfds, anonymous and System V memory are that too. The kernel gives
 * the rings of AIO a name of this kind (fs/aio.c), and buffers of devices (drivers/dma-buf/dma-buf.c). */
static bool is_memory(const char *name) {
  struct stat status;
  if (begins_with(name, "[anon_shmem:")) {
    return true;
  }
  if (name[0] != '/' || begins_with(name, "/[aio]") || begins_with(name, "/dmabuf")) {
    return false;
  }
  return ends_with(name, " (deleted)") || (stat(name, &status) == 0 && S_ISREG(status.st_mode));
}

static enum sandwire_shared_kind judge(const struct mapping *mapping) {
  if (!mapping->is_writable && !can_become_writable(mapping)) {
    return SANDWIRE_SHARED_NOTHING;
  }
  return is_memory(mapping->name) ? SANDWIRE_SHARED_MEMORY : SANDWIRE_SHARED_DEVICE;
}

int sandwire_find_shared_memory(bool memory_is_fine, char *name, size_t size) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) {
    return -1;
  }
  char *line = NULL;
  size_t capacity = 0;
  enum sandwire_shared_kind found = SANDWIRE_SHARED_NOTHING;
  while (found != SANDWIRE_SHARED_DEVICE && getline(&line, &capacity, maps) > 0) {
    struct mapping mapping;
    if (!parse_shared(line, &mapping)) {
      continue;
    }
    const enum sandwire_shared_kind kind = judge(&mapping);
    if (kind > found && !(kind == SANDWIRE_SHARED_MEMORY && memory_is_fine)) {
      found = kind;
      (void)snprintf(name, size, "%s", mapping.name);
    }
  }
  const int error = ferror(maps) ? errno : 0;
  free(line);
  (void)fclose(maps);
  errno = error;
  return error ? -1 : (int)found;
}

/* ---- Rings without a mapping and an fd ---- */

/* From linux/io_uring.h, where many systems' is too old. The number is the same on all architectures. */
enum { IO_URING_ENTER = 426, IORING_ENTER_REGISTERED_RING = 1 << 4, REGISTERED_RINGS_MAX = 16 };

bool sandwire_has_registered_ring(void) {
  for (int i = 0; i < REGISTERED_RINGS_MAX; i++) {
    /* To submit and to wait for nothing. EBADF: none of this number. EINVAL: none at all; ENOSYS, EPERM: no
     * io_uring. */
    if (syscall(IO_URING_ENTER, i, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0) >= 0 ||
        (errno != EBADF && errno != EINVAL && errno != ENOSYS && errno != EPERM)) {
      return true;
    }
  }
  return false;
}
