/* Attempts at what is done with processes, filters and descriptors. Each runs in a child of its own, with the
 * host's privileges, and returns 0 or an errno. */
#ifndef SUPERVISOR_PROBE_KERNEL_H
#define SUPERVISOR_PROBE_KERNEL_H

int probe_seccomp_filter(long *value);
/* A listener, with the flags a sandboxee's has; one call is received and answered with CONTINUE. */
int probe_seccomp_notify(long *value);
/* Linux 5.19: a signal does not interrupt a call that waits for its answer. */
int probe_seccomp_wait_killable(long *value);
int probe_no_new_privileges(long *value);
int probe_pidfd(long *value);
/* Taking a descriptor out of a process in another user namespace. */
int probe_pidfd_getfd(long *value);
int probe_ptrace(long *value);
int probe_sealed_memory(long *value);
int probe_close_range(long *value);
/* value: the hard limit; an error below what a launch needs. */
int probe_null_device(long *value);
int probe_open_files(long *value);
/* value: what PR_GET_SPECULATION_CTRL says of store bypass. */
int probe_speculation(long *value);
/* value: the version of the ABI. */
int probe_landlock(long *value);
/* Fails if the memory of a sandboxee that crashes may leave the sandbox. */
int probe_core_dumps(long *value);

#endif
