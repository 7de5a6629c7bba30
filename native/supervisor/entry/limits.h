/* The resource limits of a sandboxee (setrlimit(2)). */
#ifndef SUPERVISOR_LIMITS_H
#define SUPERVISOR_LIMITS_H

#include <stdbool.h>
#include <sys/types.h>

#include "request/start_request.h"

/* Sets the limits of a process, 0: the calling one. 0, or -1 with errno and *name, the limit in words. */
int limits_set(const struct start_request *request, pid_t pid, const char **name);

/* For a sandboxee that has just come under its policy, which keeps the limit of core files as it is: true if
 * it is what it was set to, false if the program has changed it before. Runs in the supervisor. */
bool limits_core_stands(const struct start_request *request, pid_t pid);

#endif
