#include "entrance.h"

#include <sched.h>
#include <unistd.h>

pid_t sandwire_enter_sandbox(int init_pidfd, bool keep_network_namespace) {
  int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (!keep_network_namespace) {
    namespaces |= CLONE_NEWNET;
  }
  if (setns(init_pidfd, namespaces) != 0) { /* by pidfd, all at once: Linux 5.8 */
    return -1;
  }
  return fork();
}
