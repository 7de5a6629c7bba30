/* The other threads of a process that is about to fork. Runs in a Node fork server, unsandboxed. */
#ifndef SANDWIRE_ADDON_OTHER_THREADS_H
#define SANDWIRE_ADDON_OTHER_THREADS_H

/* Waits until each of them sleeps, as Node's do when there is no work for them: then none holds a lock that
 * the child would wait for in vain. 0; EBUSY if one still works after limit_ms; or another errno. */
int other_threads_await_sleep(int limit_ms);

#endif
