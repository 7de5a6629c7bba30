#include "entrance.h"

#include <sched.h>
#include <unistd.h>

int sandwire_join_sandbox(int init_pidfd, bool keep_network_namespace) {
  int namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (!keep_network_namespace) {
    namespaces |= CLONE_NEWNET;
  }
  return setns(init_pidfd, namespaces); /* by pidfd, all at once: Linux 5.8 */
}

pid_t sandwire_enter_sandbox(int init_pidfd, bool keep_network_namespace) {
  return sandwire_join_sandbox(init_pidfd, keep_network_namespace) != 0 ? -1 : fork();
}
