/* The rendezvous socket of a sandboxee. Runs in the supervisor. */
#ifndef SUPERVISOR_RENDEZVOUS_H
#define SUPERVISOR_RENDEZVOUS_H

#include <stdbool.h>

/* A connected pair, close-on-exec. The second end is the sandboxee's. reaches_program: a program or a child
 * of a fork server holds it until its filter is in force, so it must not belong to the host's network. 0, or
 * -1 with errno. */
int rendezvous_pair(bool reaches_program, int pair[2]);

#endif
