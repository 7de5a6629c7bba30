/* Attempts at what a sandbox is made of. Each runs in a child of its own, with the host's privileges, and
 * returns 0 or an errno. */
#ifndef SUPERVISOR_PROBE_NAMESPACES_H
#define SUPERVISOR_PROBE_NAMESPACES_H

int probe_user_namespace(long *value);
/* Each in a new user namespace, as sandboxes have them. */
int probe_mount_namespace(long *value);
int probe_pid_namespace(long *value);
int probe_network_namespace(long *value);
int probe_ipc_namespace(long *value);
int probe_uts_namespace(long *value);
int probe_cgroup_namespace(long *value);
/* Writing the id maps of a new user namespace from outside. */
int probe_id_maps(long *value);
/* setns() into all of them at once, by pidfd. */
int probe_enter(long *value);
/* A root of its own: tmpfs, a bound directory, attributes, pivot_root. */
int probe_mounts(long *value);
int probe_proc_mount(long *value);
int probe_sysfs_mount(long *value);

#endif
