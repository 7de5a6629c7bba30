/* The stage-1 process: the supervisor forks it to make one sandbox. It forks init into new namespaces, forks
 * the standby process (standby.h) into them, and ends. */
#ifndef SUPERVISOR_STAGE1_H
#define SUPERVISOR_STAGE1_H

#include <stdbool.h>

#include "entry/setup_report.h"
#include "mounts.h"
#include "request/sandbox_description.h"

/* What it reports, in a page that it shares with the supervisor, init and the standby process. */
struct stage1_page {
  struct setup_report report;          /* of making the sandbox; child_pid: init */
  struct setup_report attach;          /* of processes that attach; child_pid: the standby process */
  struct source_identity identities[]; /* one for each mount */
};

/* Never returns; when it has ended with 0, the sandbox is ready. network_is_shared: what
 * shared_network_prepare() returned. standby_socket: the standby process's end; -1: none is wanted. */
_Noreturn void stage1_main(struct sandbox_description *description, struct stage1_page *page,
                           bool network_is_shared, int standby_socket, pid_t supervisor);

#endif
