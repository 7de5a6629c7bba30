/* Prewarmed sandboxes. A description that is asked for again and again gets a few sandboxes in advance, each
 * used once. They are ended when no run took one for a while, and when the machine's mounts change. Runs in
 * the supervisor. */
#ifndef SUPERVISOR_PREWARMED_POOL_H
#define SUPERVISOR_PREWARMED_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request/sandbox_description.h"

enum {
  MAX_PREWARMED = 64,         /* of one description, if a number is asked for */
  MAX_PREWARMED_BY_USE = 8,   /* if none is */
  MAX_PREWARMED_IN_ALL = 256, /* each is an init and a standby process, together some 300 KiB */
};

struct sandbox;
struct sandbox_template; /* a description and its prewarmed sandboxes; counted references */

/* A reference to the template of these bytes, with standby processes or without; a new one if there is none.
 * NULL with *reason. */
struct sandbox_template *sandbox_template_for(const uint8_t *bytes, size_t size, bool standby,
                                              const char **reason);
bool sandbox_template_has_standby(const struct sandbox_template *template);
void sandbox_template_ref(struct sandbox_template *template);
void sandbox_template_unref(struct sandbox_template *template);
struct sandbox_description *sandbox_template_description(struct sandbox_template *template);

/* A run has taken, and given back, a sandbox of it. */
void sandbox_template_used(struct sandbox_template *template);
void sandbox_template_unused(struct sandbox_template *template);

/* A prewarmed sandbox, ready or still being made; NULL if there is none. */
struct sandbox *prewarmed_pool_take(struct sandbox_template *template);
/* This sandbox has failed, and is in the pool no longer. */
void prewarmed_pool_remove(struct sandbox_template *template, struct sandbox *sandbox);
/* Makes as many as are wanted: a number, 0 for none; -1: as many as the use of the template suggests. */
void prewarmed_pool_fill(struct sandbox_template *template, int wanted);
/* One is ready: makes the next one, if more are wanted. */
void prewarmed_pool_go_on(struct sandbox_template *template);
/* Ends all; none are made after that. */
void prewarmed_pool_close(void);

/* What the pool needs of sandbox.c. */
struct sandbox *sandbox_make(struct sandbox_template *template);
struct sandbox **sandbox_link(struct sandbox *sandbox);

#endif
