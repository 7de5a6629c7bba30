/* What this machine allows, found out by trying it. Runs in a process of its own, with the host's privileges:
 * the host starts the supervisor's program with --probe. */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

/* Writes one line "name error value" for each thing tried to standard output. error: 0, an errno, or minus
 * the signal that ended the attempt. Returns the exit code. */
int probe_main(void);

#endif
