/* Closes fds that others have made. To close one can take as long as whoever made it likes: see
 * sandwire/closer.h. The host hands on what its program maps into a sandbox, and that may have come out of
 * another one. Runs in the supervisor, which must not wait. */
#ifndef SUPERVISOR_CLOSING_H
#define SUPERVISOR_CLOSING_H

#include <stddef.h>

/* -1 among them is passed over. Does not wait, unless there is no process to be had that could. */
void close_foreign(const int *fds, size_t count);

#endif
