#include "host_privileges.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct { bool can_mount, can_map, nobody_is_mapped; } power;

static bool is_mapped(const char *map, unsigned id) {
  FILE *file = fopen(map, "re");
  if (file == NULL) {
    return false;
  }
  unsigned inside, outside, count;
  bool found = false;
  while (!found && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3) {
    found = id >= inside && id - inside < count;
  }
  fclose(file);
  return found;
}

void host_privileges_look(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  memset(data, 0, sizeof(data));
  memset(&power, 0, sizeof(power));
  if (geteuid() != 0 || syscall(SYS_capget, &header, data) != 0) {
    return;
  }
  const unsigned ids = 1u << CAP_SETUID | 1u << CAP_SETGID;
  power.can_mount = (data[0].effective & 1u << CAP_SYS_ADMIN) != 0;
  power.can_map = (data[0].effective & ids) == ids;
  power.nobody_is_mapped =
      is_mapped("/proc/self/uid_map", UNPRIVILEGED_ID) && is_mapped("/proc/self/gid_map", UNPRIVILEGED_ID);
}

bool host_can_mount(void) {
  return power.can_mount;
}

bool host_can_map_ids(const struct sandbox_description *description) {
  bool named = description->outside_uid_set && description->outside_gid_set;
  return power.can_map && (named || power.nobody_is_mapped);
}
