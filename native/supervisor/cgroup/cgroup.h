/* The cgroup of one run: how much memory, processes and CPU it may use, and did use. Runs in the supervisor;
 * the sandboxee-to-be enters it by itself. If the supervisor is killed, its cgroups are removed: see
 * cgroup_guardian.h. */
#ifndef SUPERVISOR_CGROUP_H
#define SUPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup_limits {
  bool asked;            /* any of them */
  uint64_t memory_bytes; /* 0: no limit of that kind */
  uint64_t processes;
  uint64_t cpu_us;    /* of CPU time in every 100 ms */
  const char *parent; /* "": the supervisor looks for one */
};

struct cgroup_usage {
  bool known;
  uint64_t memory_peak_bytes; /* 0: this kernel does not report it */
  uint64_t processes_peak;
  uint64_t cpu_us;
  uint64_t throttled_us;
  uint64_t oom_kills;
  uint64_t refused_processes;
};

struct cgroup;

/* NULL with an errno in *error and what was tried in words. */
struct cgroup *cgroup_make(const struct cgroup_limits *limits, uint64_t run, int *error, char *tried,
                           size_t tried_size);

/* The process that enters writes "0" to it. Since the supervisor has opened it, that works whatever
 * privileges the process has left: the kernel checks those of the opener (since Linux 5.17). */
int cgroup_entrance(const struct cgroup *cgroup);

void cgroup_read_usage(const struct cgroup *cgroup, struct cgroup_usage *usage);

/* Every process in it is dead: removes it. NULL: nothing happens. */
void cgroup_remove(struct cgroup *cgroup);

/* The supervisor ends: removes the cgroups above those of runs. */
void cgroups_close(void);

/* Tries to make a cgroup with this controller (enum cgroup_controller), and removes it. 0 or errno. */
int cgroup_try(unsigned controller);

#endif
