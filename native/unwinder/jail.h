/* What the unwinder gives up before it reads a byte that the sandboxee has made. */
#ifndef UNWINDER_JAIL_H
#define UNWINDER_JAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Keeps the fds (ascending) and standard output. Afterwards this process can read and write those, allocate
 * memory, and end. False if any step failed: then nothing may be read. */
bool jail_enter(const int *fds, size_t count);

#endif
