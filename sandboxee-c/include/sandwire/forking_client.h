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

/* Serves the requests that arrive on comms, which remains the caller's and must outlive the client. NULL with
 * errno ENOMEM. */
SANDWIRE_API struct sandwire_forking_client *sandwire_forking_client_create(struct sandwire_comms *comms);
/* Children go on. NULL is allowed. */
SANDWIRE_API void sandwire_forking_client_destroy(struct sandwire_forking_client *client);

struct sandwire_forking_options {
  /* How many threads the process may have when it forks; 0: one. Only the calling thread exists in a child.
   * What the others held at that moment, a lock for example, is held for ever. So only one thread is safe,
   * unless you know what the others do. */
  unsigned max_threads;
  /* Called in the fork server before each fork. If it returns an errno and not 0, there is no child, and the
   * host gets the errno. */
  int (*before_fork)(void *context);
  /* Called in each child, in the sandbox, before the child returns from here. If it returns an errno and not
   * 0, the child ends, and the host gets the errno. */
  int (*after_fork_in_child)(void *context);
  void *context;
  /* Lets all children write to memory that this process has mapped shared (mmap(2), MAP_SHARED; a
   * sandwire_buffer is mapped like that). Through it the children and the fork server can see what the others
   * do. Without this a request is refused while there is such memory that is writable or can be made so. A
   * ring (io_uring, AIO, packets) and a device are never shared: whoever writes there makes the kernel act
   * for this process. */
  bool share_memory;
  /* Children have nothing of what this process has open: its numbers stay taken, by files that can be used
   * for nothing. Called in the fork server before each fork, for each open file above standard error: true
   * for one that all children have too. It is the same open file, not a copy: its position, flags and locks
   * are one, and what it acts on (a socket's peer, another process's memory) each child can act on. A
   * directory is refused, since it leads to all of the host. NULL: none. */
  bool (*share_fd)(int fd, void *context);
};

/* The options are copied. */
SANDWIRE_API void sandwire_forking_client_set_options(struct sandwire_forking_client *client,
                                                      const struct sandwire_forking_options *options);

/* Waits for a request and forks. Returns as fork() does:
 *
 * 0 in the child, which is in its sandbox, without any privilege, but not yet under a policy. The comms
 * object given to create() is now its own channel to the host: call sandwire_sandbox_me_here() on it. Of the
 * fork server the child has the memory, and the open files that share_fd names; standard input, output and
 * error are what the host gave.
 *
 * In the fork server the pid of the joiner, the process that has brought the sandboxee into its sandbox. The
 * joiner has ended and is reaped. The sandboxee is the joiner's child, so this process need not wait for it.
 * (Under a host that is sandbox2 the pid is the sandboxee's. It is reaped in a later call here; if a
 * waitpid(-1, …) elsewhere is quicker, that is fine.) Handlers that pthread_atfork() was given for the parent
 * run in the joiner too: it shares this process's memory, but has its own file descriptors. A joiner that is
 * killed within fork() leaves locked what fork() has locked. In a process with several threads these are
 * locks of the C library, and the process ends, with a message on standard error and exit code 121.
 *
 * -SANDWIRE_ERROR_… : CLOSED when the host wants no more children: end then; the children go on. UNSUPPORTED
 * (too many threads, shared memory, a ring, in a child of the fork server, or a request that only sandbox2's
 * own fork server can serve) and SYSTEM (fork failed, a hook failed) concern one request, and are reported to
 * the host; see sandwire_comms_error_text(). Others are final.
 *
 * Every child writes unwritten data in stdio buffers again: fflush() before. */
SANDWIRE_API pid_t sandwire_forking_client_wait_and_fork(struct sandwire_forking_client *client);

/* Forks for each request, and skips those that fail. SANDWIRE_OK in each child; in the fork server an error
 * when there is nothing more to serve: CLOSED, or what broke the channel. */
SANDWIRE_API enum sandwire_error sandwire_forking_client_enter_fork_loop(
    struct sandwire_forking_client *client);

#ifdef __cplusplus
}
#endif
#endif
