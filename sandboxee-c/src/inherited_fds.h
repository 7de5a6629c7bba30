/* The open files of a fork server, which are not for its children: what two processes have open as the same
 * file they share, its position, flags and owner as well, and many an object acts for whoever has it. */
#ifndef SANDWIRE_INHERITED_FDS_H
#define SANDWIRE_INHERITED_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_inherited_fd {
  int fd;
  bool is_wake_up; /* an event queue, a wake-up, a pipe */
  dev_t device;
  ino_t inode;
};

/* Zeroed before its first use. */
struct sandwire_inherited_fds {
  struct sandwire_inherited_fd *fds;
  size_t count, capacity;
  int null_fd, closed_fd; /* what stands in for them, if count is not 0 */
};

typedef bool sandwire_fd_test(int fd, void *context);

/* In the fork server, right before a fork: lists all that is open but standard input, output and error, and
 * what is_kept() says, and opens what stands in for it. 0, or an errno with the object in detail. EBUSY:
 * there is a ring or a userfaultfd, with which no process is forked. EISDIR: is_kept() wants to keep a
 * directory. */
int sandwire_inherited_fds_list(struct sandwire_inherited_fds *inherited, sandwire_fd_test *is_kept,
                                void *context, char *detail, size_t size);

/* In the child: replaces all that was listed and is still the same file. The numbers stay taken, so that
 * whatever remembers one meets no other file under it: reading and writing fail with EBADF, and what a
 * library writes to wake up a thread that the child does not have goes nowhere. 0 or an errno. Makes no
 * allocation. */
int sandwire_inherited_fds_replace(const struct sandwire_inherited_fds *inherited);

/* In the fork server, after the fork. */
void sandwire_inherited_fds_close(struct sandwire_inherited_fds *inherited);

void sandwire_inherited_fds_destroy(struct sandwire_inherited_fds *inherited);

#ifdef __cplusplus
}
#endif
#endif
