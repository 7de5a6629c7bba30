/* What of a fork server's open files must not be shared with its children. Node and libuv keep a dozen to
 * themselves (event loops, wake-ups, signal pipes), and the script may have left some open. */
#ifndef SANDWIRE_ADDON_INHERITED_FDS_H
#define SANDWIRE_ADDON_INHERITED_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { INHERITED_FDS_MAX = 4096 };

struct inherited_fds {
  int null_fd, closed_fd; /* /dev/null, to be written to; and as O_PATH, which can be used for nothing */
  size_t count;
  struct inherited_fd {
    int fd;
    bool is_internal; /* a wake-up, an event queue, a pipe */
    dev_t device;
    ino_t inode;
  } fds[INHERITED_FDS_MAX];
};

/* Opens what stands in for the fds later. 0 or an errno. */
int inherited_fds_open(struct inherited_fds *inherited);
void inherited_fds_close(struct inherited_fds *inherited);

/* In the fork server: lists all that is open but standard input, output and error, and except. 0 or an errno.
 */
int inherited_fds_list(struct inherited_fds *inherited, int except);

/* In the child: lets go of all that was listed and is still the same file. The numbers stay taken, so that
 * whoever remembers one meets no other file under it: what the script had opened fails with EBADF, and what
 * libuv writes to wake up a thread that is not there goes nowhere. 0 or an errno. Makes no allocation. */
int inherited_fds_let_go(const struct inherited_fds *inherited);

#endif
