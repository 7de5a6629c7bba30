/* The files and directories of the host that a policy may show. Runs in the children that make a sandbox or
 * enter one, never in the supervisor itself, and before any code of the sandboxee. */
#ifndef SUPERVISOR_MOUNT_SOURCE_H
#define SUPERVISOR_MOUNT_SOURCE_H

#include "request/sandbox_description.h"

/* Opens what a file or directory mount shows (O_PATH). -1 with errno: ELOOP for a symlink in the path; EPERM
 * for what belongs to a process, and for a /proc or /sys of the host that is complete or writable. */
int mount_source_open(const struct mount_request *mount);

#endif
