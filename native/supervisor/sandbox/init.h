/* Pid 1 of a sandbox: makes its root, then holds its namespaces until it is killed. */
#ifndef SUPERVISOR_INIT_H
#define SUPERVISOR_INIT_H

#include "entry/setup_report.h"
#include "mounts.h"
#include "request/sandbox_description.h"

/* Never returns. maker: its socket, which brings one byte when the ids are mapped, and gets one when the
 * sandbox is complete. supervisor: its pidfd. */
_Noreturn void init_main(struct sandbox_description *description, struct source_identity *identities,
                         struct setup_report *report, int maker, int supervisor);

#endif
