/* The cgroup guardian: a process that waits for the end of the supervisor and removes the cgroups that a
 * killed one leaves. If it is killed as well, the next supervisor sweeps. */
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

/* A new name for a cgroup of this supervisor; a sweep can see from it whether that supervisor still runs. */
void cgroup_guardian_name(char *name, size_t size);

/* Forks one, if there is none. False with errno. */
bool cgroup_guardian_start(struct cgroup_guardian *guardian, const struct cgroup_place *place);

/* Removes, in the directory, the cgroups of supervisors that are gone. */
void cgroup_guardian_sweep(int directory);

#endif
