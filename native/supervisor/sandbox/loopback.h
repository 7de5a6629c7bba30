/* 127.0.0.1 of a network namespace. Runs in the children that make one, with all capabilities in the user
 * namespace that owns it. */
#ifndef SUPERVISOR_LOOPBACK_H
#define SUPERVISOR_LOOPBACK_H

/* Of the current network namespace. -1 with errno, and *object says on what it failed. */
int loopback_bring_up(const char **object);

#endif
