/* Takes the host's requests apart and calls the rooms that fulfil them. A request that cannot be taken is
 * refused and forgotten, with the fds that came for it, and harms no other. Runs in the supervisor. */
#ifndef SUPERVISOR_DISPATCH_H
#define SUPERVISOR_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

/* A Request message. */
void dispatch_message(const uint8_t *bytes, size_t size);

/* An fd of the newest request, now ours; -1: there is none left for it. */
void dispatch_fd(int fd);

/* A Request that is too long to be read, of which this is the beginning. */
void dispatch_too_long(const uint8_t *beginning, size_t size);

/* The host is gone, and with it what was still to come. */
void dispatch_forget(void);

#endif
