/* The program mount of a fork server: a read-only mount by which its program is executed. Its children reach
 * the program as /proc/self/exe. On the host's own mount a child with the uid of its owner could change its
 * mode, times and attributes. */
#ifndef SUPERVISOR_PROGRAM_MOUNT_H
#define SUPERVISOR_PROGRAM_MOUNT_H

/* Replaces the fd, which was opened with O_PATH, by one of the same file on such a mount, if that is
 * possible. The mount namespace exists, and so does the path that /proc/self/exe shows, until the other end
 * of the socket `holder` is closed: an fd of the namespace is in the socket's queue. Runs in a child of the
 * supervisor that becomes a fork server. */
void program_mount_take(int program, int holder);

#endif
