/* Landlock rules: they limit which files a process and its children reach, whatever mounts they see
 * (landlock(7)). Beside the sandbox's own root they are the second limit; with landlock_only they are the
 * only one. Runs in the sandbox, in a single-threaded process that is about to become a sandboxee or makes
 * the rules for one. */
#ifndef SUPERVISOR_LANDLOCK_H
#define SUPERVISOR_LANDLOCK_H

#include "request/sandbox_description.h"
#include "request/start_request.h"
#include "setup_report.h"

enum {
  LANDLOCK_NOT_NEEDED = -2, /* rules of this kernel would refuse what the mounts allow */
  LANDLOCK_FENCE_ABI = 2,   /* Linux 5.19; before it every rename to another directory is refused */
  LANDLOCK_ONLY_ABI = 6,    /* Linux 6.12; before it signals to other sandboxes' processes are not limited */
};

/* The version of the kernel's ABI (1 and up), or -1 with errno: ENOSYS without Landlock, EOPNOTSUPP where it
 * is switched off at boot. */
int landlock_abi(void);

/* In the sandbox, as long as nothing keeps the process from opening what the rules are about: limits, or
 * another user's directories. Makes the rules for what the description mounts, the program (-1: none), and,
 * with landlock_only, the directories among the fds. fds: those of the request from its second on, in their
 * places by now or not. Returns an fd or LANDLOCK_NOT_NEEDED. A failure ends the process. */
int landlock_rules(const struct start_request *request, const struct sandbox_description *description,
                   int program, const int *fds, struct setup_report *report);

#endif
