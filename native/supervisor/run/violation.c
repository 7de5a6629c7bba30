#include "violation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "listener.h"

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
  violation->program[length > 0 ? length : 0] = '\0';
  if (read_proc_file(violation->tid, "comm", violation->comm, sizeof(violation->comm)) > 0) {
    violation->comm[strcspn(violation->comm, "\n")] = '\0';
  } else {
    violation->comm[0] = '\0';
  }
}

void violation_read(struct violation *violation, int listener, const struct seccomp_notif *notification,
                    pid_t sandboxee) {
  memset(violation, 0, sizeof(*violation));
  violation->notification = notification->id;
  violation->data = notification->data;
  violation->tid = (pid_t)notification->pid;
  violation->pid = violation->tid == sandboxee ? sandboxee : thread_group_of(violation->tid);
  read_program(violation);
  if (!listener_still_waits(listener, notification->id)) {
    violation->pid = violation->tid;
    violation->program[0] = violation->comm[0] = '\0';
  }
}

void violation_take_memory(struct violation *violation, const struct argument_memory memory[6]) {
  for (int i = 0; i < 6; i++) {
    violation->memory_size[i] =
        memory[i].size < VIOLATION_MEMORY_SIZE ? memory[i].size : VIOLATION_MEMORY_SIZE;
    if (violation->memory_size[i] > 0) {
      memcpy(violation->memory[i], memory[i].bytes, violation->memory_size[i]);
    }
  }
}
