/* The sandbox's root: a tmpfs that holds only what the policy mounts. Runs in the children that make a sandbox,
 * never in the supervisor itself, and before any code of the sandboxee. */
#ifndef SUPERVISOR_MOUNTS_H
#define SUPERVISOR_MOUNTS_H

#include "setup_report.h"
#include "start_request.h"

/* Clones the mount trees of the policy's files and directories into mounts[].source. Needs CAP_SYS_ADMIN in the
 * current mount namespace. */
void mounts_open_sources(struct start_request *request, struct setup_report *report);

/* Builds the root, mounts the sources and the special file systems, makes it the root and lets go of the old one.
 * Runs in init, with all capabilities in the sandbox's own user namespace. */
void mounts_make_root(const struct start_request *request, struct setup_report *report);

#endif
