/* Who removes the cgroups of a supervisor that was killed: a process of its own, which waits for the
 * supervisor's end and does nothing else. Should it be killed as well, the next supervisor sweeps. */
#ifndef SUPERVISOR_CGROUP_GUARDIAN_H
#define SUPERVISOR_CGROUP_GUARDIAN_H

#include <stdbool.h>
#include <stddef.h>

#include "cgroup_place.h"
#include "loop/process.h"

struct cgroup_guardian {
  struct process process; /* first member */
  int alive_fd;           /* its other end closes with us */
  bool started;
};

/* A new name for a cgroup of this supervisor: it tells whose it is for as long as it is there. */
void cgroup_guardian_name(char *name, size_t size);

/* Forks one, unless it is there. False with errno. */
bool cgroup_guardian_start(struct cgroup_guardian *guardian, const struct cgroup_place *place);

/* Removes, in the directory, the cgroups of supervisors that are gone. */
void cgroup_guardian_sweep(int directory);

#endif
