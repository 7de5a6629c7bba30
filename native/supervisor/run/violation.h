/* What is known of a syscall that the policy does not allow, read while its thread waits before it. */
#ifndef SUPERVISOR_VIOLATION_H
#define SUPERVISOR_VIOLATION_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "memory_reader.h"

enum { VIOLATION_MEMORY_SIZE = 256, VIOLATION_PROGRAM_SIZE = 1024, VIOLATION_COMM_SIZE = 64 };

struct violation {
  int cause; /* enum sandwire_violation_cause */
  uint64_t notification;
  struct seccomp_data data;
  pid_t tid; /* as the supervisor sees them */
  pid_t pid;
  char program[VIOLATION_PROGRAM_SIZE]; /* path of its executable; empty: not known */
  char comm[VIOLATION_COMM_SIZE];       /* the name the thread gave itself */
  size_t memory_size[6];                /* bytes read at each argument taken as an address; 0: none */
  unsigned char memory[6][VIOLATION_MEMORY_SIZE];
};

/* Fills what can be read at once; the rest stays empty. Never fails: a violation is one without its details,
 * too. If the thread did not wait any more when all was read, its tid may have been another's, and only the
 * notification itself is kept. sandboxee: the pid of its first process, whose first thread need not be looked
 * up. */
void violation_read(struct violation *violation, int listener, const struct seccomp_notif *notification,
                    pid_t sandboxee);

/* What its arguments point at (memory_reader.h), as much of it as there is room for. */
void violation_take_memory(struct violation *violation, const struct argument_memory memory[6]);

#endif
