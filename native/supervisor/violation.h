/* What is known of a syscall that the policy did not allow, read while its thread stands before it. */
#ifndef SUPERVISOR_VIOLATION_H
#define SUPERVISOR_VIOLATION_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { VIOLATION_MEMORY_SIZE = 256, VIOLATION_PROGRAM_SIZE = 256 };

struct violation {
  struct seccomp_data data;
  pid_t tid; /* as the supervisor sees them */
  pid_t pid;
  char program[VIOLATION_PROGRAM_SIZE]; /* path of its executable, or its name in quotes-free text */
  size_t memory_size[6];                /* bytes read at each argument taken as an address; 0: none */
  unsigned char memory[6][VIOLATION_MEMORY_SIZE];
};

/* Fills what can be read; what cannot is left empty. Never fails: a violation stands without its details. */
void violation_read(struct violation *violation, const struct seccomp_notif *notification);

#endif
