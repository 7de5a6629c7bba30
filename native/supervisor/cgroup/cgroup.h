/* The cgroup of one run: what it may use of memory, processes and CPU, and what it used. Runs in the
 * supervisor; the sandboxee-to-be puts itself in. None is left behind, whoever is killed: see
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
  const char *parent; /* "": found by itself */
};

struct cgroup_usage {
  bool known;
  uint64_t memory_peak_bytes; /* 0: this kernel does not tell */
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

/* To be written to ("0") by the process that enters. Opened by us, it lets that one in whatever it has
 * become: the kernel looks at who opened it (since Linux 5.17). */
int cgroup_entrance(const struct cgroup *cgroup);

void cgroup_read_usage(const struct cgroup *cgroup, struct cgroup_usage *usage);

/* All that was in it is dead: removes it. NULL is passed over. */
void cgroup_remove(struct cgroup *cgroup);

/* The supervisor ends: removes what is above the cgroups of runs. */
void cgroups_close(void);

/* Whether a cgroup with this controller (enum cgroup_controller) can be had: makes one, and removes it. 0 or
 * errno. */
int cgroup_try(unsigned controller);

#endif
