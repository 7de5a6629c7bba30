/* Pid 1 of a sandbox: makes its root, then holds its namespaces until it is killed. */
#ifndef SUPERVISOR_INIT_H
#define SUPERVISOR_INIT_H

#include "entry/setup_report.h"
#include "mounts.h"
#include "request/sandbox_description.h"

/* Never returns. stage1: a socket to the stage-1 process; it brings one byte when the ids are mapped, and
 * gets one when the sandbox is ready. supervisor: its pidfd. */
_Noreturn void init_main(struct sandbox_description *description, struct source_identity *identities,
                         struct setup_report *report, int stage1, int supervisor);

#endif
