/* The thread of the host that started the supervisor: the host's main thread, or a worker of it. */
#ifndef SUPERVISOR_HOST_THREAD_H
#define SUPERVISOR_HOST_THREAD_H

/* Calls ended() when it has ended. 0, or -1 with errno.
 *
 * As a rule the end of the control channel reports that as well. But a process keeps its fds until the last
 * of its threads has ended, and one that waits for a lock in the kernel cannot even be killed. A sandboxee
 * can have a thread of its host wait so for as long as the sandboxee lives (see sandwire/closer.h): it would
 * outlive a host that was killed. */
int host_thread_watch(void (*ended)(void));

#endif
