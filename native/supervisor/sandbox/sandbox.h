/* A sandbox: namespaces with a root file system, held by an init. Made by children, used by one run. Runs in the
 * supervisor. */
#ifndef SUPERVISOR_SANDBOX_H
#define SUPERVISOR_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control/sandbox_description.h"
#include "entry/setup_report.h"

struct cgroup;
struct sandbox;
struct run;

enum sandbox_state {
  SANDBOX_BEING_MADE,
  SANDBOX_READY,
  SANDBOX_FAILED, /* sandbox_report() says why; or its init was killed */
};

/* Takes a sandbox of this description (a SandboxDescription message): one made ahead, if there is any, otherwise one
 * that begins to be made now. changed(run) is called whenever its state has changed, until it is released. fresh: not
 * one made ahead. NULL with *reason when the description is no good or there is no memory. */
struct sandbox *sandbox_acquire(const uint8_t *description, size_t size, bool fresh, struct run *run,
                                void (*changed)(struct run *), const char **reason);

enum sandbox_state sandbox_state(const struct sandbox *sandbox);
const struct setup_report *sandbox_report(const struct sandbox *sandbox);

/* Pid of its init as the supervisor sees it; 0 when it is gone. */
pid_t sandbox_init(const struct sandbox *sandbox);
const struct sandbox_description *sandbox_describe(const struct sandbox *sandbox);
bool sandbox_keeps_network(const struct sandbox *sandbox);

bool sandbox_was_made_ahead(const struct sandbox *sandbox);

/* In the child that is to enter: whether its mounts show what their paths name now. */
bool sandbox_is_current(const struct sandbox *sandbox);

/* It goes when all that was in the sandbox is gone. NULL is passed over. */
void sandbox_keep_cgroup(struct sandbox *sandbox, struct cgroup *cgroup);

/* Kills what is in it, now; it stays the run's. */
void sandbox_kill(const struct sandbox *sandbox);

/* The run is done with it: it is killed, and forgotten when all of it is reaped. */
void sandbox_release(struct sandbox *sandbox);

/* Good moment to make sandboxes like this one ahead: the run that took it needs no more of us. wanted: as
 * sandbox_pool_fill() takes it. */
void sandbox_make_ahead(const struct sandbox *sandbox, int wanted);

/* Ends all sandboxes made ahead, and makes no more. */
void sandboxes_close(void);

/* How many are not yet forgotten. */
size_t sandboxes_alive(void);

/* Called when the last of them is forgotten. */
void sandboxes_when_gone(void (*gone)(void));

#endif
