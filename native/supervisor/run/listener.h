/* The seccomp listener of a sandboxee: how the supervisor gets it, and the launch call. */
#ifndef SUPERVISOR_LISTENER_H
#define SUPERVISOR_LISTENER_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes a duplicate of the listener out of the process. number: what the process announced; is_certain: it
 * can be believed. Returns the fd (CLOEXEC), or -1 with errno. */
int listener_take(int pidfd, pid_t pid, int number, bool is_certain);

/* The thread that asks and the supervisor take turns, so each is best woken on the core where the other is
 * about to sleep: on another core that takes some 50 microseconds longer. Older kernels than Linux 6.6 ignore
 * it. */
void listener_stay_on_one_core(int listener);

/* True if the fd is a seccomp listener. */
bool listener_is_one(int fd);

/* True if no process is under its filter any more, neither the sandboxee nor one that it forked
 * (seccomp_notify_poll() in the kernel's seccomp.c). Also true for -1, a listener that is closed. */
bool listener_is_over(int listener);

/* True if the thread of this notification still waits before its syscall. Then all that was read of it was
 * its own (SECCOMP_IOCTL_NOTIF_ID_VALID in seccomp_unotify(2)). */
bool listener_still_waits(int listener, uint64_t id);

/* True for the launch call: the marked execveat, or the marked close_range of the listener, whose
 * number in the sandboxee this is, with which sandboxMeHere ends. mode: enum sandwire_launch_mode. */
bool listener_is_launch(int mode, const struct seccomp_notif *notification, int number);

/* True for the last step of sandbox2's own client in its sandboxMeHere(): a filter for all threads that the
 * client marks in a fourth argument. It makes the same call kill from then on. */
bool listener_is_sandbox2_check(const struct seccomp_notif *notification);

/* Lets the syscall happen, with the arguments that its memory holds then. 0, or -1 with errno. */
int listener_continue(int listener, const struct seccomp_notif *notification);

#endif
