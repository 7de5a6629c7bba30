/* The ids of a user namespace: files of its processes that are written once. Runs in the children that make
 * one. */
#ifndef SUPERVISOR_ID_MAP_H
#define SUPERVISOR_ID_MAP_H

#include <sys/types.h>

/* Writes into /proc/<pid>/<name>: "setgroups", "uid_map", "gid_map" (user_namespaces(7)). -1 with errno. */
int id_map_write(pid_t pid, const char *name, const char *text);

#endif
