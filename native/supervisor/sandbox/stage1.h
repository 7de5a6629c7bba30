/* Makes a sandbox: forked by the supervisor for one sandbox, forks its init into fresh namespaces, leads its
 * resident in (standby.h), and ends. */
#ifndef SUPERVISOR_STAGE1_H
#define SUPERVISOR_STAGE1_H

#include <stdbool.h>

#include "entry/setup_report.h"
#include "mounts.h"
#include "request/sandbox_description.h"

/* What the maker says, in a page it shares with the supervisor. */
struct stage1_page {
  struct setup_report report;          /* child_pid: init */
  struct setup_report attach;          /* of the entering; child_pid: the resident */
  struct source_identity identities[]; /* one for each mount */
};

/* Never returns; when it has ended with 0, the sandbox is complete. network_is_shared:
 * shared_network_prepare() has said so. standby_socket: the resident's end; -1: none is wanted. */
_Noreturn void stage1_main(struct sandbox_description *description, struct stage1_page *page,
                           bool network_is_shared, int standby_socket, pid_t supervisor);

#endif
