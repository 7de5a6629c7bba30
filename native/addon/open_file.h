/* Opens a file of the host's by a path in which a sandboxee may have left anything: links, FIFOs, second
 * names of other files. Runs in the host, with its privileges, in a thread that may wait, because network
 * file systems do. */
#ifndef SANDWIRE_OPEN_FILE_H
#define SANDWIRE_OPEN_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct open_file_wish {
  /* writes: the file is made if it does not exist, and emptied unless it appends. Otherwise it is opened for
   * reading. */
  bool writes, appends;
  /* Follows every link, and writes to a file that has several names. Otherwise only root's links are
   * followed, and only if no sandboxee can be root. */
  bool follows_links, trusts_root;
  /* Accepts FIFOs and devices too. It does not wait for a FIFO: writing needs a reader (ENXIO). */
  bool takes_any_kind;
};

enum open_file_problem {
  OPEN_FILE_FAILED = 1,  /* errno says why */
  OPEN_FILE_LINK,        /* a link that is not followed */
  OPEN_FILE_MANY_NAMES,  /* the file has several names */
  OPEN_FILE_NOT_REGULAR, /* it is a FIFO, a device, a socket */
};

struct open_file_result {
  int fd; /* close-on-exec; -1: there is a problem */
  enum open_file_problem problem;
  int error;
  char at[PATH_MAX]; /* where the path had led when the problem arose */
  uid_t owner;       /* of the link */
};

void open_file(const char *path, const struct open_file_wish *wish, struct open_file_result *result);

/* Opens the terminal of fd anew: the new fd has flags of its own, and can only be read, or only written. -1
 * if fd is not a terminal, or if it cannot be opened by its name because it belongs to another user. Never
 * waits. */
int open_terminal_again(int fd, bool writes);

#endif
