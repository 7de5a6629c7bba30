/* Makes a sandbox: forked by the supervisor for one sandbox, forks its init into fresh namespaces, and ends. */
#ifndef SUPERVISOR_MAKER_H
#define SUPERVISOR_MAKER_H

#include "control/sandbox_description.h"
#include "entry/setup_report.h"
#include "mounts.h"

/* The kernel uid and gid of a sandboxee when root is the host and names none: nobody's. */
enum { UNPRIVILEGED_ID = 65534 };

/* Never returns. ready_fd is for init, which writes one byte to it when the sandbox is complete. The pid of init
 * is in report->child_pid when the maker has ended with 0. */
_Noreturn void maker_main(struct sandbox_description *description, struct source_identity *identities,
                          struct setup_report *report, int ready_fd,
                          pid_t supervisor);

#endif
