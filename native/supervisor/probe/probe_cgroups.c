#include "probe_cgroups.h"

#include "cgroup/cgroup.h"
#include "cgroup/cgroup_place.h"

int probe_cgroup_memory(long *value) {
  (void)value;
  return cgroup_try(CGROUP_MEMORY);
}

int probe_cgroup_pids(long *value) {
  (void)value;
  return cgroup_try(CGROUP_PIDS);
}

int probe_cgroup_cpu(long *value) {
  (void)value;
  return cgroup_try(CGROUP_CPU);
}
