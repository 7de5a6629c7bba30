/* Landlock: a fence around the file system that holds for a process and its children, whatever mounts they see.
 * Asks the kernel by number: the C library has no names for it. */
#ifndef SUPERVISOR_LANDLOCK_H
#define SUPERVISOR_LANDLOCK_H

/* The version of the kernel's ABI (1 and up), or -1 with errno: ENOSYS without Landlock, EOPNOTSUPP where it is
 * switched off at boot. */
int landlock_abi(void);

#endif
