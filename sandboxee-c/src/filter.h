/* Putting a policy in force for the calling process. Nothing here allocates; all but the helper way is
 * async-signal-safe and may be called between fork and exec. */
#ifndef SANDWIRE_FILTER_H
#define SANDWIRE_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_comms;

/* Longest program the kernel takes (BPF_MAXINSNS). */
enum { SANDWIRE_FILTER_MAX_INSTRUCTIONS = 4096 };

enum sandwire_filter_step {
  SANDWIRE_FILTER_STEP_NONE,
  SANDWIRE_FILTER_STEP_PROGRAM,      /* empty or too long */
  SANDWIRE_FILTER_STEP_NO_NEW_PRIVS, /* prctl(PR_SET_NO_NEW_PRIVS) */
  SANDWIRE_FILTER_STEP_KEEPCAPS,     /* prctl(PR_SET_KEEPCAPS, 0) */
  SANDWIRE_FILTER_STEP_SPECULATION,  /* prctl(PR_SET_SPECULATION_CTRL) */
  SANDWIRE_FILTER_STEP_ANNOUNCE,     /* the listener's number on the rendezvous socket */
  SANDWIRE_FILTER_STEP_SECCOMP,      /* seccomp(SECCOMP_SET_MODE_FILTER) */
  SANDWIRE_FILTER_STEP_HELPER,       /* clone() of the helper */
};

/* The failing step in words; never NULL. */
const char *sandwire_filter_step_name(enum sandwire_filter_step step);

/* What must hold before any filter: no new privileges, no capabilities kept over a change of uid, and, unless
 * allowed, the mitigations against speculation forced on for good. Tolerates a CPU or kernel that has no such
 * mitigation to switch. 0, or -errno with *step. */
int sandwire_filter_prepare(bool allow_speculation, enum sandwire_filter_step *step);

/* The way of a sandwire host. Prepares, announces on rendezvous_fd (which must be SANDWIRE_RENDEZVOUS_FD, the
 * one number every policy lets be closed) where the listener will land, installs the program for all threads,
 * and closes the rendezvous socket, which tells the supervisor to take the listener. What follows must be the
 * magic execveat or sandwire_filter_close_listener(): there the supervisor finds this process waiting.
 *
 * The number of the listener, or -errno with *step (may be NULL) while nothing is in force yet. Once the
 * program is in force a failure ends the process. */
int sandwire_filter_install_announced(int rendezvous_fd, const struct sock_filter *program, size_t count,
                                      bool allow_speculation, enum sandwire_filter_step *step);

/* Waits until the supervisor watches this process, and closes the listener, with which it could answer its
 * own violations. Returns only then. */
void sandwire_filter_close_listener(int listener);

/* The way of a sandbox2 host with the unotify monitor: a helper process sends the listener on comms and waits
 * for the host's word that limits are applied. 0, or -errno with *step while nothing is in force; later a
 * failure ends the process. */
int sandwire_filter_install_with_helper(struct sandwire_comms *comms, const struct sock_filter *program,
                                        size_t count, bool allow_speculation,
                                        enum sandwire_filter_step *step);

/* The way of a sandbox2 host with the ptrace monitor: nobody needs a listener. 0, or -errno with *step. */
int sandwire_filter_install_plain(const struct sock_filter *program, size_t count, bool allow_speculation,
                                  enum sandwire_filter_step *step);

/* Lets io_uring_setup(), io_uring_enter() and io_uring_register() fail with ENOSYS from now on, as on a
 * kernel without them. For the time before a policy, since a ring made then could be used under it without a
 * syscall (IORING_SETUP_SQPOLL), and for fork servers. Needs no_new_privs. 0, or -1 with errno. */
int sandwire_filter_forbid_io_uring(void);

/* Keeps the limit of core files as it is from now on, with the answers of every policy's preamble
 * (host/policy/preamble.ts). For the time before a policy: what lowers it then would lower it for the
 * sandboxee. With forbid_io_uring the above as well, for the price of one filter. 0, or -1 with errno. */
int sandwire_filter_keep_core_limit(bool forbid_io_uring);

/* Ends the process where nothing can be undone any more, whatever a policy in force may say to that. */
__attribute__((noreturn)) void sandwire_filter_die(void);

/* seccomp(SECCOMP_SET_MODE_FILTER) with flags, and those of the wish list the kernel knows. Returns as
 * seccomp. */
long sandwire_filter_seccomp(unsigned long flags, bool allow_speculation, const struct sock_filter *program,
                             size_t count);

#ifdef __cplusplus
}
#endif
#endif
