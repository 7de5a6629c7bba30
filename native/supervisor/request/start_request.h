/* A StartRequest as the supervisor uses it: parsed and checked before anything is forked for it, because such
 * children allocate nothing. Everything hangs on one arena. Runs in the supervisor, and in a sandbox's
 * standby process, which gets the same bytes from it. */
#ifndef SUPERVISOR_START_REQUEST_H
#define SUPERVISOR_START_REQUEST_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "cgroup/cgroup.h"
#include "rlimits.generated.h"

/* One of those in protocol/limits.json. */
struct limit_request {
  __rlimit_resource_t resource;
  const char *words;
  uint64_t value;
};

#define COUNT_ROW(resource, words) +1
enum { MAX_LIMITS = 0 SUPERVISOR_RLIMITS(COUNT_ROW) };
#undef COUNT_ROW

/* When the stacks of the sandboxee are unwound. */
struct stack_trace_switches {
  bool on_violation, on_signal, on_timeout, on_kill, on_exit, all_threads;
};

struct start_request {
  struct arena_chunk *arena;
  const uint8_t *encoded; /* the message itself */
  size_t encoded_size;
  uint64_t run;
  int mode;    /* enum sandwire_launch_mode */
  char **args; /* NULL-terminated, for execveat */
  char **envs;
  const char *cwd;
  const char *program;
  const char *program_inside;
  struct sock_filter *policy;
  size_t policy_count;
  bool allow_speculation;
  bool landlock_fence;
  bool forbid_io_uring;
  bool asks_host; /* there are notified calls; then there is a policy in every mode */
  uint64_t answer_timeout_ms;
  const uint8_t *sandbox; /* the SandboxDescription message */
  size_t sandbox_size;
  struct limit_request limits[MAX_LIMITS]; /* limit_count of them, at most one of a kind */
  size_t limit_count;
  struct cgroup_limits cgroup;
  int prewarmed; /* how many sandboxes are kept prewarmed; -1: as use suggests */
  uint64_t walltime_ms;
  bool start_unawaited; /* Sandboxed may come a little later */
  struct stack_trace_switches stack_traces;
  /* fds[0] is the program, or for FORKED the set-up socket; fds[i] for i ≥ 1 becomes targets[i] in the
   * sandboxee. -1 until received. */
  int *fds;
  int *targets;
  size_t fd_count;
  size_t
      fds_received; /* the first of them; null_count more are standard input, output and error without any */
  size_t null_count;
  int *sorted_targets; /* all of targets, and 1021 where a rendezvous socket comes, ascending: what
                          close_range leaves open */
  size_t sorted_count;
};

/* The limit of this kind; NULL: there is none. */
const struct limit_request *start_request_limit(const struct start_request *request,
                                                __rlimit_resource_t resource);

/* NULL if the bytes are no good; *reason, good until the next call, then says why. *run is filled if it could
 * be read. */
struct start_request *start_request_parse(const uint8_t *bytes, size_t size, uint64_t *run,
                                          const char **reason);

/* How many of the fds were received with it: those before the ones that become /dev/null. */
size_t start_request_given(const struct start_request *request);

/* Opens /dev/null for the standard fds that were not received. Each is opened anew, since an open file has
 * flags that all its holders share. 0, or -1 with errno. */
int start_request_open_null(struct start_request *request);

/* Closes what fds are left and frees everything. */
void start_request_destroy(struct start_request *request);

/* Closes the fds: the child that needed them has them. */
void start_request_close_fds(struct start_request *request);

#endif
