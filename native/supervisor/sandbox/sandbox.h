/* A sandbox: namespaces with a root file system, held by an init. Made by children, used by one run. Runs in
 * the supervisor. */
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

/* Who uses a sandbox; embedded in it. */
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
  bool fresh;   /* not one made ahead */
};

/* Takes one: made ahead, if there is any, otherwise it begins to be made now. user->changed is called
 * whenever its state has changed, until it is released. NULL with *reason when the description is no good or
 * there is no memory. */
struct sandbox *sandbox_acquire(const struct sandbox_wish *wish, struct sandbox_user *user,
                                const char **reason);

enum sandbox_state sandbox_state(const struct sandbox *sandbox);
const struct setup_report *sandbox_report(const struct sandbox *sandbox);

/* Pid of its init as the supervisor sees it; 0 when it is gone. */
pid_t sandbox_init(const struct sandbox *sandbox);
const struct sandbox_description *sandbox_describe(const struct sandbox *sandbox);
bool sandbox_keeps_network(const struct sandbox *sandbox);

bool sandbox_is_prewarmed(const struct sandbox *sandbox);

/* Whether its mounts show what their paths name now, as far as that can be told at once. One that is made for
 * the run does. */
bool sandbox_is_current(const struct sandbox *sandbox);

/* What the processes that enter it say of that; shared with them. */
struct setup_report *sandbox_attach_report(const struct sandbox *sandbox);

/* In a sandbox that is ready. Its resident, watched by `process` from now on, and the supervisor's end of its
 * socket. False with errno: nothing has changed. */
bool sandbox_hand_over_standby(struct sandbox *sandbox, struct process *process,
                               void (*ended)(struct process *, const siginfo_t *, const struct rusage *),
                               int *socket);
bool sandbox_has_standby(const struct sandbox *sandbox);

/* Whether its init has no children; false also if that cannot be told. */
bool sandbox_is_empty(const struct sandbox *sandbox);

/* It goes when all that was in the sandbox is gone. NULL is passed over. */
void sandbox_keep_cgroup(struct sandbox *sandbox, struct cgroup *cgroup);

/* Kills what is in it, now; it stays the run's. */
void sandbox_kill(struct sandbox *sandbox);

/* The run is done with it: it is killed, and forgotten when all of it is reaped. */
void sandbox_release(struct sandbox *sandbox);

/* Good moment to make sandboxes like this one ahead: the run that took it needs no more of us. wanted: as
 * prewarmed_pool_fill() takes it. */
void sandbox_prewarm(const struct sandbox *sandbox, int wanted);

/* Ends all sandboxes made ahead, and makes no more. */
void sandboxes_close(void);

/* How many are not yet forgotten. */
size_t sandboxes_alive(void);

/* Called when the last of them is forgotten. */
void sandboxes_when_gone(void (*gone)(void));

#endif
