/* The processes that unwind a stack (native/unwinder): one for each stack trace. To start one takes longer
 * than all it has to do, so after the first another is kept ready, which has looked at nothing yet; it is
 * used once, and ended when nobody needed it for a while. Runs in the supervisor. */
#ifndef SUPERVISOR_UNWINDER_H
#define SUPERVISOR_UNWINDER_H

#include <stddef.h>

#include "../../unwinder/request.h"

struct run;
struct unwinder; /* one at work */

/* What it has to say: a StackTraces message, good until the call returns; NULL: it has failed. The unwinder
 * is no longer the run's then. */
typedef void unwinder_done(struct run *run, const void *answer, size_t size);

/* Sends the request to an unwinder. listener: -1, if the request has none. done is called, later and once,
 * unless it is ended before. NULL with *missing, the reason. */
struct unwinder *unwinder_begin(const struct unwind_request *request, int listener, struct run *run,
                                unwinder_done *done, const char **missing);

/* Nobody waits for it any more. NULL is passed over. */
void unwinder_end(struct unwinder *unwinder);

/* Good moment to start one for the next time. */
void unwinder_prewarm(void);

#endif
