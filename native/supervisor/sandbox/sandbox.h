/* A sandbox: namespaces with a root file system, held by an init. It is made by children of the supervisor
 * and used by one run. Runs in the supervisor. */
#ifndef SUPERVISOR_SANDBOX_H
#define SUPERVISOR_SANDBOX_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "entry/setup_report.h"
#include "request/sandbox_description.h"

struct cgroup;
struct process;
struct sandbox;

/* What uses a sandbox; embedded in it. */
struct sandbox_user {
  void (*changed)(struct sandbox_user *user);
};

enum sandbox_state {
  SANDBOX_BEING_MADE,
  SANDBOX_READY,
  SANDBOX_FAILED, /* sandbox_report() says why; or its init was killed */
};

/* What is asked of a sandbox. */
struct sandbox_wish {
  const uint8_t *description; /* a SandboxDescription message */
  size_t size;
  bool standby; /* with a process in it that becomes the sandboxee (standby.h) */
  bool fresh;   /* not a prewarmed one */
};

/* Takes a prewarmed sandbox if there is one; otherwise begins to make one. user->changed is called whenever
 * its state has changed, until it is released. NULL with *reason if the description is wrong or there is no
 * memory. */
struct sandbox *sandbox_acquire(const struct sandbox_wish *wish, struct sandbox_user *user,
                                const char **reason);

enum sandbox_state sandbox_state(const struct sandbox *sandbox);
const struct setup_report *sandbox_report(const struct sandbox *sandbox);

/* Pid of its init as the supervisor sees it; 0 when it is gone. */
pid_t sandbox_init(const struct sandbox *sandbox);
const struct sandbox_description *sandbox_describe(const struct sandbox *sandbox);
bool sandbox_keeps_network(const struct sandbox *sandbox);

bool sandbox_is_prewarmed(const struct sandbox *sandbox);

/* True if its mounts show what their paths name now, as far as that can be found out without waiting. Always
 * true for one that is not prewarmed. */
bool sandbox_is_current(const struct sandbox *sandbox);

/* What the processes that attach to it report; shared with them. */
struct setup_report *sandbox_attach_report(const struct sandbox *sandbox);

/* In a sandbox that is ready: hands over its standby process, watched by `process` from now on, and the
 * supervisor's end of that process's socket. False with errno: nothing has changed. */
bool sandbox_hand_over_standby(struct sandbox *sandbox, struct process *process,
                               void (*ended)(struct process *, const siginfo_t *, const struct rusage *),
                               int *socket);
bool sandbox_has_standby(const struct sandbox *sandbox);

/* True if its init has no children; false also if that cannot be found out. */
bool sandbox_is_empty(const struct sandbox *sandbox);

/* The cgroup is removed when every process of the sandbox is gone. NULL: there is none. */
void sandbox_keep_cgroup(struct sandbox *sandbox, struct cgroup *cgroup);

/* Kills every process in it, now; it stays the user's. */
void sandbox_kill(struct sandbox *sandbox);

/* The user is done with it: it is killed, and forgotten when all of it is reaped. */
void sandbox_release(struct sandbox *sandbox);

/* A good moment to make more sandboxes like this one: the run that took it needs the supervisor no longer.
 * wanted: as prewarmed_pool_fill() takes it. */
void sandbox_prewarm(const struct sandbox *sandbox, int wanted);

/* Ends all prewarmed sandboxes, and makes no more. */
void sandboxes_close(void);

/* How many are not yet forgotten. */
size_t sandboxes_alive(void);

/* Called when the last of them is forgotten. */
void sandboxes_when_gone(void (*gone)(void));

#endif
