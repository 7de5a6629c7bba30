/* What a fork server of behave.c has, or a program that is about to sandbox itself. */
#ifndef SANDWIRE_TEST_HOLDINGS_H
#define SANDWIRE_TEST_HOLDINGS_H

#include <stdbool.h>

enum { SHARED_FD = 9 };

/* Takes what the name says, if it is one of these; a '+' behind it says that it is shared with children on
 * purpose. Ends with exit code 100 and the errno if it cannot be had.
 *   shared       memory that is shared and writable
 *   writable     memory that is shared and read-only, of a file that is open for writing
 *   readonly     memory that is shared and read-only, of a file that is open for reading
 *   ring         a ring of io_uring, mapped; its fd is closed
 *   ring-fd      a ring of io_uring that is only open
 *   ring-alone   a ring of io_uring without an fd, in memory that is shared
 *   aio          a ring of AIO, io_setup(2)
 *   userfaultfd  a userfaultfd
 *   merging      pages that the kernel may merge with equal ones of others (KSM)
 *   null         /dev/null, open on SHARED_FD
 *   eventfd      an eventfd, open on SHARED_FD
 *   file         a file with three bytes, open on SHARED_FD
 *   directory    a directory, open on SHARED_FD */
void take_holding(const char *name);

bool is_shared_on_purpose(const char *name);

#endif
