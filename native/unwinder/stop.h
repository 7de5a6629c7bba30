/* Stops the threads of a process that is not traced yet, and reads their registers. Runs with the
 * supervisor's privileges, before anything of the sandboxee's is read. */
#ifndef UNWINDER_STOP_H
#define UNWINDER_STOP_H

#include "request.h"

/* Fills request->threads, the relevant one first. They stay stopped as long as this process lives, and are
 * killed with it. */
void stop_threads(struct unwind_request *request);

#endif
