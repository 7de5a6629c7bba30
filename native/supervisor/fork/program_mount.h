/* The program of a fork server, by a mount that is read-only. Its children find it as /proc/self/exe, and on
 * the host's own mount whoever owns it could change its mode, times and attributes by that. */
#ifndef SUPERVISOR_PROGRAM_MOUNT_H
#define SUPERVISOR_PROGRAM_MOUNT_H

/* Has the fd, which was opened with O_PATH, be one of the same file on such a mount, if that is to be had.
 * The mount is one of a namespace that is there, and with it the path that /proc/self/exe tells, until the
 * other end of the socket `holder` is closed: its fd lies in the socket's queue. Runs in a child of the
 * supervisor that becomes a fork server. */
void program_mount_take(int program, int holder);

#endif
