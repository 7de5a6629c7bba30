/* The processes that unwind a stack (native/unwinder): one for each stack trace. To start one takes longer
 * than all its work, so after the first stack trace one is prewarmed, which has looked at nothing yet. It is
 * used once, and ended when no run needed it for a while. Runs in the supervisor. */
#ifndef SUPERVISOR_UNWINDER_H
#define SUPERVISOR_UNWINDER_H

#include <stddef.h>

#include "../../unwinder/request.h"

struct run;
struct unwinder; /* one at work */

/* Its answer: a StackTraces message, good until the call returns; NULL: it has failed. The run must not use
 * the unwinder after this. */
typedef void unwinder_done(struct run *run, const void *answer, size_t size);

/* Sends the request to an unwinder. listener: -1, if the request has none. done is called, later and once,
 * unless it is ended before. NULL with *missing, the reason. */
struct unwinder *unwinder_begin(const struct unwind_request *request, int listener, struct run *run,
                                unwinder_done *done, const char **missing);

/* The run does not wait for it any more. NULL: nothing happens. */
void unwinder_end(struct unwinder *unwinder);

/* A good moment to start one for the next stack trace. */
void unwinder_prewarm(void);

#endif
