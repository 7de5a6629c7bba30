/* Landlock: a fence around the file system that holds for a process and its children, whatever mounts they
 * see (landlock(7)). Behind the sandbox's own root it is the second fence; with landlock_only it is the only
 * one. Runs in the sandbox, in a process that is about to become a sandboxee or makes the rules for one,
 * single-threaded. */
#ifndef SUPERVISOR_LANDLOCK_H
#define SUPERVISOR_LANDLOCK_H

#include <stddef.h>

#include "request/sandbox_description.h"

enum {
  LANDLOCK_NOT_NEEDED = -2, /* the kernel cannot fence without changing what a program may do */
  LANDLOCK_FENCE_ABI = 2,   /* Linux 5.19; before it every rename to another directory is refused */
  LANDLOCK_ONLY_ABI = 6,    /* Linux 6.12; before it signals to other sandboxes' processes are not fenced */
};

/* The version of the kernel's ABI (1 and up), or -1 with errno: ENOSYS without Landlock, EOPNOTSUPP where it
 * is switched off at boot. */
int landlock_abi(void);

/* Makes the rules: what the description mounts, the program (-1: none), and, with landlock_only, the
 * directories among the fds. Returns an fd, LANDLOCK_NOT_NEEDED, or -1 with errno and *object, the path it
 * failed on. */
int landlock_prepare(const struct sandbox_description *description, int program, const int *fds,
                     size_t fd_count, const char **object);

#endif
