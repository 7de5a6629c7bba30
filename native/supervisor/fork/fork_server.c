#include "fork_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "entry/fds.h"
#include "entry/inheritance.h"
#include "entry/setup_report.h"
#include "filter.h"
#include "loop/child_signal.h"
#include "loop/deadlines.h"
#include "loop/orphans.h"
#include "loop/process.h"
#include "privileges.h"
#include "program_mount.h"
#include "run/events.h"
#include "run/run.h"
#include "run/violation.h"
#include "sandwire/wire.generated.h"

struct fork_server {
  struct process process;
  struct deadline walltime;
  struct fork_server *next;
  struct start_request *request;
  struct setup_report *report;
  struct run_end end; /* kind 0: it runs */
  pid_t group;        /* its process group; 0: it was not started */
  int program_mount;  /* what keeps its program mount, see program_mount.h; -1: nothing */
  bool reported; /* the host knows its end; it stays as long as there are processes of its group to be reaped
                  */
};

static struct fork_server *servers;
static size_t alive;
static void (*when_gone)(void);

/* ---- the child ---- */

/* With the host's privileges, of which none are kept. To join a sandbox takes only the kernel uid that made
 * it: the owner of a user namespace has all capabilities in it (user_namespaces(7)). */
_Noreturn static void fork_server_main(const struct start_request *request, struct setup_report *report,
                                       int mount_holder, pid_t supervisor) {
  if (sandwire_leave_session() != 0 || sandwire_reset_signals() != 0) {
    setup_fail(report, SANDWIRE_STEP_SESSION, "session, keyring and signals");
  }
  umask(022);
  if (inheritance_volunteer_for_oom() != 0) { /* its sandboxees inherit that */
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "oom_score_adj");
  }
  program_mount_take(request->fds[0], mount_holder);
  fds_put_in_place(request, -1, report);
  /* EPERM: without CAP_SETPCAP it stays as it is. no_new_privs then keeps an exec from giving anything back.
   */
  if ((sandwire_drop_bounding_set() != 0 && errno != EPERM) || sandwire_clear_capabilities(-1) != 0 ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    setup_fail(report, SANDWIRE_STEP_PRIVILEGES, "capabilities, no_new_privs");
  }
  /* A ring's memory would be mapped in each child too, and what a child puts there the kernel does for the
   * fork server, which no policy holds. libuv makes one for each event loop (UV_USE_IO_URING does not reach
   * that), and goes on without. */
  if (sandwire_filter_forbid_io_uring() != 0) {
    setup_fail(report, SANDWIRE_STEP_FILTER, "io_uring_setup");
  }
  if (chdir(request->cwd[0] == '\0' ? "/" : request->cwd) != 0) {
    setup_fail(report, SANDWIRE_STEP_CWD, request->cwd);
  }
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != supervisor) {
    setup_fail(report, SANDWIRE_STEP_FORK, "PR_SET_PDEATHSIG");
  }
  syscall(SYS_execveat, SANDWIRE_EXEC_FD, "", request->args, request->envs, AT_EMPTY_PATH);
  setup_fail(report, SANDWIRE_STEP_EXEC, request->program);
}

/* ---- its orphans ---- */

static void forget(struct fork_server *server) {
  struct fork_server **link = &servers;
  while (*link != server) {
    link = &(*link)->next;
  }
  *link = server->next;
  deadline_clear(&server->walltime);
  if (server->program_mount >= 0) {
    close(server->program_mount);
  }
  setup_report_destroy(server->report);
  start_request_destroy(server->request);
  free(server);
  alive--;
  if (alive == 0) {
    if (when_gone != NULL) {
      when_gone();
    }
  }
}

/* Reaps its orphans: a joiner, or a child that ended before it named itself. They have the process group of
 * the fork server; all other children of the supervisor are in its own group or, as sandboxees, in one of
 * their own. One that is not reaped would also hold up the end of the sandbox it is in
 * (zap_pid_ns_processes() in the kernel's pid_namespace.c). */
static void reap_orphans_of(struct fork_server *server) {
  for (;;) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    int result = waitid(P_PGID, (id_t)server->group, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
    if (result != 0) {
      if (server->reported) { /* ECHILD: the last of the group is gone */
        forget(server);
      }
      return;
    }
    if (info.si_pid == 0 && server->reported) {
      /* Only its sandboxees outlive it. The number is still this group's: children of the supervisor are in
       * it. */
      kill(-server->group, SIGKILL);
    }
    /* One that is watched is reaped by its owner, and this goes on after that. */
    if (info.si_pid == 0 || process_is_watched(info.si_pid)) {
      return;
    }
    waitpid(info.si_pid, NULL, WNOHANG | __WALL);
  }
}

/* True for a process of the group of a fork server. */
static bool is_of_server(pid_t pid) {
  const pid_t group = getpgid(pid);
  const struct fork_server *server = servers;
  while (server != NULL && server->group != group) {
    server = server->next;
  }
  return server != NULL;
}

static struct orphan_claim processes_of_servers = {.claims = is_of_server};

/* Also called when a sandboxee of a fork server was reaped: before, the wait above does not get past it. */
static void reap_orphans(void) {
  struct fork_server *next;
  for (struct fork_server *server = servers; server != NULL; server = next) {
    next = server->next;
    if (server->group != 0) {
      reap_orphans_of(server);
    }
  }
}

/* ---- its life ---- */

static void end(struct fork_server *server, int kind) {
  if (server->end.kind == 0) {
    server->end.kind = kind;
  }
  process_kill(&server->process);
}

static void report_end(struct fork_server *server) {
  static const struct violation none;
  events_send_ended(server->request->run, &server->end, server->report, &none);
  deadline_clear(&server->walltime);
  server->reported = true;
  if (server->group == 0) {
    forget(server);
  } else {
    reap_orphans_of(server);
  }
}

static void on_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  struct fork_server *server = (struct fork_server *)process; /* its first member */
  server->end.usage = *usage;
  if (server->end.kind == 0) {
    const bool exited = info->si_code == CLD_EXITED;
    server->end.kind = server->report->step != 0 ? SANDWIRE_SETUP_FAILED
                       : exited                  ? SANDWIRE_EXITED
                                                 : SANDWIRE_SIGNALED;
    server->end.exit_code = exited ? info->si_status : 0;
    server->end.signal = exited ? 0 : info->si_status;
  }
  report_end(server);
}

static void on_walltime(struct deadline *deadline) {
  end((struct fork_server *)((char *)deadline - offsetof(struct fork_server, walltime)), SANDWIRE_TIMED_OUT);
}

static void fail(struct fork_server *server, int step, int error, const char *detail) {
  setup_report_failure(server->report, step, error, detail);
  end(server, SANDWIRE_SETUP_FAILED);
  if (server->process.pid == 0) {
    report_end(server);
  }
}

static void start(struct fork_server *server) {
  orphans_claim(&processes_of_servers);
  runs_on_forked_sandboxee_end(reap_orphans);
  if (!child_signal_listen(reap_orphans)) {
    fail(server, SANDWIRE_STEP_MEMORY, errno, "signalfd");
    return;
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    fail(server, SANDWIRE_STEP_MEMORY, errno, "socketpair");
    return;
  }
  server->program_mount = pair[0];
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    fork_server_main(server->request, server->report, pair[1], self);
  }
  int error = errno;
  close(pair[1]);
  start_request_close_fds(server->request);
  if (pid < 0) {
    fail(server, SANDWIRE_STEP_FORK, error, "fork server");
    return;
  }
  if (!process_watch(&server->process, pid, on_end)) {
    fail(server, SANDWIRE_STEP_MEMORY, errno, "pidfd");
    return;
  }
  server->group = pid; /* it makes itself the leader of that group first of all */
  const uint64_t walltime_ms = server->request->walltime_ms;
  if (walltime_ms > 0 &&
      deadline_set(&server->walltime, monotonic_now_ns() + walltime_ms * 1000000u, on_walltime) != 0) {
    fail(server, SANDWIRE_STEP_MEMORY, ENOMEM, "walltime");
    return;
  }
  events_send_started(server->request->run, pid, 0);
}

void fork_server_start(struct start_request *request) {
  struct fork_server *server = calloc(1, sizeof(*server));
  struct setup_report *report = setup_report_create();
  if (server == NULL || report == NULL) {
    free(server);
    setup_report_destroy(report);
    events_send_refused(request->run, "the supervisor has no memory left");
    start_request_destroy(request);
    return;
  }
  process_init(&server->process);
  server->request = request;
  server->report = report;
  server->program_mount = -1;
  server->next = servers;
  servers = server;
  alive++;
  start(server);
}

void fork_server_kill(uint64_t number) {
  for (struct fork_server *server = servers; server != NULL; server = server->next) {
    if (server->request->run == number) {
      end(server, SANDWIRE_KILLED);
    }
  }
}

void fork_servers_end(void (*gone)(void)) {
  when_gone = gone;
  for (struct fork_server *server = servers; server != NULL; server = server->next) {
    end(server, SANDWIRE_KILLED);
  }
}

size_t fork_servers_alive(void) {
  return alive;
}
