/* What the host asks for, message by message. A request that cannot be taken is refused and forgotten, with
 * the fds that came for it; the others are none the worse for it. Runs in the supervisor. */
#ifndef SUPERVISOR_DISPATCH_H
#define SUPERVISOR_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

/* A Request message. */
void requests_take(const uint8_t *bytes, size_t size);

/* An fd of the newest request, now ours; -1: there is none left for it. */
void requests_take_fd(int fd);

/* A Request that is too long to be read, of which this is the beginning. */
void requests_refuse(const uint8_t *beginning, size_t size);

/* The host is gone, and with it what was still to come. */
void requests_forget(void);

/* As much of a Request as tells of which run it is. */
enum { REQUEST_BEGINNING = 32 };

#endif
