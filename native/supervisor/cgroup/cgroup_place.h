/* Where in the tree of cgroup v2 there is room for ours. Runs in the supervisor and its probe. */
#ifndef SUPERVISOR_CGROUP_PLACE_H
#define SUPERVISOR_CGROUP_PLACE_H

#include <stddef.h>

enum cgroup_controller { CGROUP_MEMORY = 1, CGROUP_PIDS = 2, CGROUP_CPU = 4 };

enum { CGROUP_NAME_SIZE = 64 };

/* A cgroup of ours, below which others can be made. It holds no process itself: the kernel allows controllers
 * only below a cgroup without (cgroup-v2.rst, "No Internal Process Constraint"). */
struct cgroup_place {
  int parent_fd, fd;
  char name[CGROUP_NAME_SIZE];
};

/* Makes the cgroup name in the directory parent; with "" for parent, in the nearest one, from our own cgroup
 * upwards, that lets us: so the limits around this process hold for what is in it, too. wanted: controllers
 * that are to be had below it. 0, or an errno with what was tried in words. */
int cgroup_place_make(struct cgroup_place *place, const char *parent, unsigned wanted, const char *name,
                      char *tried, size_t tried_size);

/* More controllers below it. 0 or an errno. */
int cgroup_place_extend(const struct cgroup_place *place, unsigned wanted);

/* Removes it, if it is empty, and closes its fds. */
void cgroup_place_close(struct cgroup_place *place);

/* Text into a file of the directory. 0 or an errno. */
int cgroup_write(int directory, const char *file, const char *text);

/* The file's text, NUL-terminated; its length, or -1 with errno. */
long cgroup_read(int directory, const char *file, char *text, size_t size);

#endif
