#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/host_privileges.h"
#include "probe_cgroups.h"
#include "probe_kernel.h"
#include "probe_namespaces.h"

/* Every attempt in a child: it may be ended by a filter around us, get stuck, or leave something behind. */
enum { PATIENCE_S = 5 };

struct outcome {
  int error;
  long value;
};

static const struct {
  const char *name;
  int (*attempt)(long *value); /* 0 or an errno */
} probes[] = {
    {"userNamespace", probe_user_namespace},
    {"mountNamespace", probe_mount_namespace},
    {"pidNamespace", probe_pid_namespace},
    {"networkNamespace", probe_network_namespace},
    {"ipcNamespace", probe_ipc_namespace},
    {"utsNamespace", probe_uts_namespace},
    {"cgroupNamespace", probe_cgroup_namespace},
    {"idMaps", probe_id_maps},
    {"enterNamespaces", probe_enter},
    {"mounts", probe_mounts},
    {"procMount", probe_proc_mount},
    {"sysfsMount", probe_sysfs_mount},
    {"seccompFilter", probe_seccomp_filter},
    {"seccompNotify", probe_seccomp_notify},
    {"seccompWaitKillable", probe_seccomp_wait_killable},
    {"noNewPrivileges", probe_no_new_privileges},
    {"pidfd", probe_pidfd},
    {"pidfdGetfd", probe_pidfd_getfd},
    {"ptrace", probe_ptrace},
    {"sealedMemory", probe_sealed_memory},
    {"closeRange", probe_close_range},
    {"nullDevice", probe_null_device},
    {"openFiles", probe_open_files},
    {"speculation", probe_speculation},
    {"landlock", probe_landlock},
    {"coreDumps", probe_core_dumps},
    {"cgroupMemory", probe_cgroup_memory},
    {"cgroupPids", probe_cgroup_pids},
    {"cgroupCpu", probe_cgroup_cpu},
};

static void attempt(size_t index, struct outcome *shared) {
  memset(shared, 0, sizeof(*shared));
  pid_t pid = fork();
  if (pid == 0) {
    alarm(PATIENCE_S);
    shared->error = probes[index].attempt(&shared->value);
    _exit(0);
  }
  if (pid < 0) {
    shared->error = errno;
    return;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      shared->error = errno;
      return;
    }
  }
  if (WIFSIGNALED(status)) {
    shared->error = -WTERMSIG(status);
  }
}

int probe_main(void) {
  host_privileges_look();
  struct outcome *shared =
      mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    perror("sandwire-supervisor --probe: mmap");
    return 1;
  }
  for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
    attempt(i, shared);
    printf("%s %d %ld\n", probes[i].name, shared->error, shared->value);
    fflush(stdout); /* before the next fork, or it would be written twice */
  }
  return 0;
}
