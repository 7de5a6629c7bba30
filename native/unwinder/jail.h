/* What the unwinder gives up before it looks at a byte of the sandboxee's making. */
#ifndef UNWINDER_JAIL_H
#define UNWINDER_JAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Keeps the fds (ascending) and standard output; afterwards this process can read and write those, get
 * memory, and end. False if any of it failed: then nothing may be read. */
bool jail_enter(const int *fds, size_t count);

#endif
