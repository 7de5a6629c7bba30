/* Forking, once a request has been answered. Runs in the fork server and in its children. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork_readiness.h"
#include "fork_request.h"
#include "forked_child.h"
#include "forking_client_private.h"
#include "threads.h"
#include "transport.h"

enum sandwire_error sandwire_forking_fail(struct sandwire_forking_client *client, enum sandwire_error error,
                                          const char *detail) {
  client->comms->operation = "fork";
  return sandwire_transport_fail(client->comms, error, detail);
}

enum sandwire_error sandwire_forking_refuse(struct sandwire_forking_client *client,
                                            struct sandwire_comms *setup, int step, int error,
                                            const char *reason) {
  sandwire_fork_request_fail(setup, step, error, reason);
  errno = error;
  return sandwire_forking_fail(client, SANDWIRE_ERROR_SYSTEM, reason);
}

/* In the child: nothing of the fork server's own business comes along. Changes no memory. */
static void leave_fork_server(const struct sandwire_forking_client *client, pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) {
    _exit(1);
  }
  (void)close(client->comms->fd);
  for (size_t i = 0; i < client->child_count; i++) {
    (void)close(client->children[i].pidfd);
  }
  for (size_t i = 0; i < client->entering_count; i++) {
    (void)close(client->entering[i]->fd);
  }
}

/* In the sandboxee, where their fds are closed already. */
static void forget_siblings(struct sandwire_forking_client *client) {
  for (size_t i = 0; i < client->entering_count; i++) {
    client->entering[i]->fd = -1;
    sandwire_comms_destroy(client->entering[i]);
  }
  client->child_count = client->entering_count = 0;
  client->is_child = true;
}

/* NULL in a static program that has no threads (glibc before 2.34). */
#pragma weak pthread_setcanceltype

/* Returns the type until now. A joiner that is killed in a system call that is a cancellation point leaves
 * this thread with another type (glibc before 2.41, sysdeps/nptl/cancellation.c). */
static int set_cancel_type(int type) {
  int before = PTHREAD_CANCEL_DEFERRED;
  if (pthread_setcanceltype != NULL) {
    (void)pthread_setcanceltype(type, &before);
  }
  return before;
}

#define LOCKS_ARE_LOST                                                                                 \
  "the fork server ends: the joiner of a child was killed within fork(), and has left locks of the C " \
  "library locked in a process with several threads"

/* In the fork server, whose joiner was killed within fork(). In a process with several threads fork() holds
 * the locks of the heap and of stdio. They are never released, so nothing here may need one. */
_Noreturn static void end_without_locks(struct sandwire_comms *setup) {
  static const char line[] = "sandwire: " LOCKS_ARE_LOST "\n";
  struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
  sandwire_fork_request_fail(setup, SANDWIRE_STEP_FORK_SERVER, EDEADLK, LOCKS_ARE_LOST);
  if (poll(&standard_error, 1, 0) == 1 && write(STDERR_FILENO, line, sizeof line - 1) < 0) {
    _exit(SANDWIRE_FORK_FAILURE); /* nobody reads it */
  }
  _exit(SANDWIRE_FORK_FAILURE);
}

/* Returns as fork() does, but in the fork server only when the joiner has ended: a child of vfork(), for
 * which no page table is copied, since it uses this process's memory while this process stands still. It
 * joins the sandbox's namespaces and forks the sandboxee, which returns from here, on its copy of this stack.
 * What vfork(2) warns of is not done: the joiner itself never returns.
 *
 * A joiner may be killed between any two of its instructions. So until its fork() it writes to nothing but
 * its part of this stack: it has a copy of setup, with room for all it receives. It takes no lock and
 * allocates nothing. fork() itself is needed: it prepares the C library and the program (pthread_atfork(3)).
 */
static pid_t join_sandbox(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  if (sandwire_reader_make_room(&setup->reader) != SANDWIRE_OK) {
    return -1;
  }
  const pid_t parent = getpid();
  const int cancel_type = set_cancel_type(PTHREAD_CANCEL_DEFERRED);
  client->joiner_forks = false;
  const pid_t joiner = vfork();
  if (joiner == 0) {
    leave_fork_server(client, parent);
    sandwire_forked_child_enter(setup, client->comms, &client->inherited, &client->options,
                                &client->joiner_forks);
    forget_siblings(client);
    (void)set_cancel_type(cancel_type);
    return 0;
  }
  const int failure = errno;
  while (joiner > 0 && waitpid(joiner, NULL, 0) < 0 && errno == EINTR) {
  }
  if (client->joiner_forks && sandwire_count_threads() != 1) { /* with one thread fork() locks nothing */
    end_without_locks(setup);
  }
  (void)set_cancel_type(cancel_type);
  errno = failure;
  return joiner;
}

static pid_t fork_plainly(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid != 0) {
    return pid;
  }
  leave_fork_server(client, parent);
  forget_siblings(client);
  sandwire_forked_child_stay(setup, client->comms, &client->inherited, &client->options);
  return 0;
}

typedef pid_t fork_function(struct sandwire_forking_client *client, struct sandwire_comms *setup);

/* Takes setup over, but for the child, which has it on. 0 in the child, its pid, or a negative error. */
static pid_t fork_by(struct sandwire_forking_client *client, struct sandwire_comms *setup,
                     fork_function *make_child) {
  const int hook = client->options.before_fork ? client->options.before_fork(client->options.context) : 0;
  /* A handler of the fork server's is not to run in a process that has its memory but not its files; nor to
   * map or open anything once that has been looked at. */
  sigset_t all, usual;
  sigfillset(&all);
  (void)sigprocmask(SIG_SETMASK, &all, &usual); /* no such failure with these arguments */
  enum sandwire_error error =
      hook != 0 ? sandwire_forking_refuse(client, setup, SANDWIRE_STEP_FORK_SERVER, hook, "before_fork")
                : sandwire_fork_readiness_check(client, setup);
  const pid_t pid = error == SANDWIRE_OK ? make_child(client, setup) : -1;
  const int failure = errno;
  (void)sigprocmask(SIG_SETMASK, &usual, NULL);
  if (pid == 0) {
    client->inherited.count = 0; /* replaced, and the stand-ins closed */
    return 0;
  }
  sandwire_inherited_fds_close(&client->inherited);
  if (error == SANDWIRE_OK && pid < 0) {
    error = sandwire_forking_refuse(client, setup, SANDWIRE_STEP_FORK, failure, "the fork server");
  }
  if (setup->reader.buffer != NULL) {
    explicit_bzero(setup->reader.buffer, setup->reader.capacity); /* the way the child was told */
  }
  sandwire_comms_destroy(setup);
  return error ? -(pid_t)error : pid;
}

pid_t sandwire_fork_into_sandbox(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  return fork_by(client, setup, join_sandbox);
}

pid_t sandwire_fork_unsandboxed(struct sandwire_forking_client *client, struct sandwire_comms *setup) {
  return fork_by(client, setup, fork_plainly);
}
