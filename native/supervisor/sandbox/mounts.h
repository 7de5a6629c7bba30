/* The sandbox's root: a tmpfs that holds only what the policy mounts. Runs in the children that make a
 * sandbox, never in the supervisor itself, and before any code of the sandboxee. */
#ifndef SUPERVISOR_MOUNTS_H
#define SUPERVISOR_MOUNTS_H

#include "entry/setup_report.h"
#include "request/sandbox_description.h"

/* Which file a mount shows. */
struct source_identity {
  uint64_t device, inode;
};

/* True if it shows any of the host's files or directories. */
bool mounts_have_sources(const struct sandbox_description *description);

/* Clones the mount trees of the policy's files and directories into mounts[].source. Needs CAP_SYS_ADMIN in
 * the current mount namespace. identities: one for each mount, filled for those that have a source. */
void mounts_open_sources(struct sandbox_description *description, struct source_identity *identities,
                         struct setup_report *report);

/* True if the paths of the description still name what the mounts show. Runs outside of the sandbox. Waits
 * for nothing: false if it cannot be found out at once. */
bool mounts_are_current(const struct sandbox_description *description,
                        const struct source_identity *identities);

/* False if that can never be found out here: a kernel older than Linux 5.12 cannot look a path up without
 * waiting. */
bool mounts_can_be_checked(const struct sandbox_description *description);

/* Builds the root, mounts the sources and the special file systems, makes it the root and lets go of the old
 * one. Runs in init, with all capabilities in the sandbox's own user namespace. */
void mounts_make_root(const struct sandbox_description *description, struct setup_report *report);

#endif
