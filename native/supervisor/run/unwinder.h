/* The processes that unwind a stack (native/unwinder): one for each stack trace. To start one takes longer than all it has
 * to do, so after the first another is kept ready, which has looked at nothing yet; it is used once, and ended when nobody
 * needed it for a while. Runs in the supervisor. */
#ifndef SUPERVISOR_UNWINDER_H
#define SUPERVISOR_UNWINDER_H

#include "../../unwinder/request.h"
#include "loop/process.h"

/* Sends the request to an unwinder, watched as `process` from now on. listener: -1, if the request has none. NULL, or
 * why there is none. *answer_fd is where its answer will be, the caller's to close. */
const char *unwinder_begin(struct process *process,
                           void (*ended)(struct process *, const siginfo_t *, const struct rusage *),
                           const struct unwind_request *request, int listener, int *answer_fd);

/* Good moment to start one for the next time. */
void unwinder_make_ahead(void);

#endif
