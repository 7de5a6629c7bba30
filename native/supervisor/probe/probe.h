/* What this machine allows, found out by doing it. Runs in a process of its own: the supervisor's program,
 * started with --probe by the host and with the host's privileges. */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

/* Writes one line "name error value" for each thing tried to standard output. error: 0, an errno, or minus
 * the signal that ended the attempt. Returns the exit code. */
int probe_main(void);

#endif
