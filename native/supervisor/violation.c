#include "violation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Below this nothing is ever mapped (vm.mmap_min_addr), and most arguments are numbers below it. */
enum { LOWEST_ADDRESS = 65536 };

static ssize_t read_proc_file(pid_t pid, const char *name, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  ssize_t count = read(fd, buffer, size - 1);
  close(fd);
  if (count >= 0) {
    buffer[count] = '\0';
  }
  return count;
}

static pid_t thread_group_of(pid_t tid) {
  char status[512]; /* Tgid is the fourth line, after a name of at most 64 bytes escaped */
  if (read_proc_file(tid, "status", status, sizeof(status)) > 0) {
    const char *line = strstr(status, "\nTgid:");
    if (line != NULL) {
      return (pid_t)strtol(line + strlen("\nTgid:"), NULL, 10);
    }
  }
  return tid;
}

static void read_program(struct violation *violation) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/exe", (int)violation->tid);
  ssize_t length = readlink(path, violation->program, sizeof(violation->program) - 1);
  if (length > 0) {
    violation->program[length] = '\0';
    return;
  }
  if (read_proc_file(violation->tid, "comm", violation->program, sizeof(violation->program)) > 0) {
    violation->program[strcspn(violation->program, "\n")] = '\0';
  } else {
    violation->program[0] = '\0';
  }
}

/* One address; stops at the end of its page when the next one is not mapped. */
static size_t read_memory(pid_t tid, uint64_t address, unsigned char *into) {
  const uint64_t page = 4096;
  size_t first = (size_t)(page - address % page);
  if (first > VIOLATION_MEMORY_SIZE) {
    first = VIOLATION_MEMORY_SIZE;
  }
  struct iovec local = {into, VIOLATION_MEMORY_SIZE};
  struct iovec remote[2] = {
    {(void *)(uintptr_t)address, first},
    {(void *)(uintptr_t)(address + first), VIOLATION_MEMORY_SIZE - first},
  };
  ssize_t count = process_vm_readv(tid, &local, 1, remote, remote[1].iov_len > 0 ? 2 : 1, 0);
  return count > 0 ? (size_t)count : 0;
}

void violation_read(struct violation *violation, const struct seccomp_notif *notification) {
  memset(violation, 0, sizeof(*violation));
  violation->data = notification->data;
  violation->tid = (pid_t)notification->pid;
  violation->pid = thread_group_of(violation->tid);
  read_program(violation);
  /* Which arguments are addresses is the host's knowledge: it has the table of syscalls. Here every one that could
   * be is tried. */
  for (int i = 0; i < 6; i++) {
    uint64_t address = notification->data.args[i];
    if (address >= LOWEST_ADDRESS && address < UINT64_MAX - VIOLATION_MEMORY_SIZE) {
      violation->memory_size[i] = read_memory(violation->tid, address, violation->memory[i]);
    }
  }
}
