/* The seccomp listener of a sandboxee: how the supervisor comes by it, and the one notification it lets
 * through. */
#ifndef SUPERVISOR_LISTENER_H
#define SUPERVISOR_LISTENER_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes a duplicate of the listener out of the process. number: where the process said it would be;
 * is_certain: and it can be believed. Returns the fd (CLOEXEC), or -1 with errno. */
int listener_take(int pidfd, pid_t pid, int number, bool is_certain);

/* Asker and answerer take turns, so that waking one is best done where the other is about to sleep: on
 * another core it takes some 50 microseconds longer. A kernel older than Linux 6.6 goes on as it does. */
void listener_stay_on_one_core(int listener);

/* Whether the fd is a seccomp listener at all. */
bool listener_is_one(int fd);

/* Whether no process is under its filter any more, be it the sandboxee or what that has made
 * (seccomp_notify_poll() in the kernel's seccomp.c). -1, a listener that was closed since, says so, too. */
bool listener_is_over(int listener);

/* Whether the thread of this notification still stands before its syscall: what was read of it until now was
 * its own (SECCOMP_IOCTL_NOTIF_ID_VALID in seccomp_unotify(2)). */
bool listener_still_waits(int listener, uint64_t id);

/* Whether this is the launch call: the marked execveat, or the marked close_range of the listener, whose
 * number in the sandboxee this is, with which sandboxMeHere ends. mode: enum sandwire_launch_mode. */
bool listener_is_launch(int mode, const struct seccomp_notif *notification, int number);

/* True for the last step of sandbox2's own client in its sandboxMeHere(): a filter for all threads that the
 * client marks in a fourth argument. It makes the same call kill from then on. */
bool listener_is_sandbox2_check(const struct seccomp_notif *notification);

/* Lets the syscall happen, with the arguments that its memory holds then. 0, or -1 with errno. */
int listener_continue(int listener, const struct seccomp_notif *notification);

#endif
