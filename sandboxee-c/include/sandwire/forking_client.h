/* A fork server: a program that prepares itself once and then forks a sandboxee whenever its host asks for
 * one. The host starts it with Executor.startForkServer(); it runs unsandboxed, each child in a sandbox of
 * its own. */
#ifndef SANDWIRE_FORKING_CLIENT_H
#define SANDWIRE_FORKING_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandwire/comms.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_forking_client;

/* Serves the requests that come on comms, which stays the caller's and must outlive the client. NULL with
 * errno ENOMEM. */
SANDWIRE_API struct sandwire_forking_client *sandwire_forking_client_create(struct sandwire_comms *comms);
/* Children go on. NULL is fine. */
SANDWIRE_API void sandwire_forking_client_destroy(struct sandwire_forking_client *client);

struct sandwire_forking_options {
  /* How many threads the process may have when it forks; 0: one. Only the calling one is there in a child,
   * and what others held at that moment, a lock for example, is held for ever: one is safe, more only for who
   * knows them. */
  unsigned max_threads;
  /* Called in the fork server before each fork. Not 0: an errno; there is no child, and the host hears of it.
   */
  int (*before_fork)(void *context);
  /* Called in each child, in the sandbox, before it returns from here. Not 0: an errno; the child ends, and
   * the host hears of it. */
  int (*after_fork_in_child)(void *context);
  void *context;
  /* All children may write to what this process has mapped shared and writable (mmap(2), MAP_SHARED; a
   * sandwire_buffer is so): through it they see what the others do, and so does the fork server. Otherwise a
   * request is refused while there is such memory. */
  bool share_memory;
};

/* A copy is kept. */
SANDWIRE_API void sandwire_forking_client_set_options(struct sandwire_forking_client *client,
                                                      const struct sandwire_forking_options *options);

/* Waits for a request and forks. Returns as fork() does:
 *
 * 0 in the child, which is in its sandbox, without any privilege, but under no policy yet. The comms object
 * given to create() is now its own channel to the host: call sandwire_sandbox_me_here() on it. Of the fork
 * server it has all but the channel of requests; standard input, output and error are what the host gave.
 *
 * In the fork server the pid of the process that has led the sandboxee in, which is that one's child and not
 * ours to wait for: it has ended and is reaped. (Under a host that is sandbox2 it is the sandboxee itself.
 * That one is reaped in a later call here; if a waitpid(-1, …) elsewhere is quicker, that is fine.) Handlers
 * that pthread_atfork() was given for the parent run in that process too: it has this one's memory, and file
 * descriptors of its own.
 *
 * -SANDWIRE_ERROR_… : CLOSED when the host wants no more children: end then, they go on. UNSUPPORTED (too
 * many threads, shared memory, in a child of the fork server, or a request that only sandbox2's own fork
 * server can meet) and SYSTEM (no fork, a hook that failed) concern one request, and the host is told; see
 * sandwire_comms_error_text(). Others are final.
 *
 * Unwritten data in stdio buffers is written by each child again: fflush() before. */
SANDWIRE_API pid_t sandwire_forking_client_wait_and_fork(struct sandwire_forking_client *client);

/* Forks for each request, passing over those that fail. SANDWIRE_OK in each child; in the fork server an
 * error when there is nothing more to serve: CLOSED, or what broke the channel. */
SANDWIRE_API enum sandwire_error sandwire_forking_client_enter_fork_loop(
    struct sandwire_forking_client *client);

#ifdef __cplusplus
}
#endif
#endif
