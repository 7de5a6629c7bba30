/* Attempts to make a cgroup v2, with each controller by itself. 0, or the errno it was refused with. */
#ifndef SUPERVISOR_PROBE_CGROUPS_H
#define SUPERVISOR_PROBE_CGROUPS_H

int probe_cgroup_memory(long *value);
int probe_cgroup_pids(long *value);
int probe_cgroup_cpu(long *value);

#endif
