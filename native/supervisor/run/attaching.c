/* A sandboxee is the standby process of its sandbox, which only needs to be sent what to run: without a fork
 * on the way, that is the fastest. Where there is none, an attach helper is forked: a child of a fork server
 * attaches by itself, and a request may be too long for a message. The helper does a bounded piece of work
 * and ends by itself; it is never killed, since it alone knows the pid of what it forked. */
#include "attaching.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forked_sandboxee.h"
#include "loop/event_loop.h"
#include "loop/orphans.h"
#include "loop/process.h"
#include "run_private.h"
#include "sandbox/attach_joining.h"
#include "sandbox/attach_sending.h"
#include "sandbox/rendezvous.h"
#include "sandbox/standby.h"
#include "sandwire/wire.generated.h"

void attaching_take_sandbox(struct run *run, bool fresh) {
  const struct start_request *request = run->request;
  const struct sandbox_wish wish = {
      .description = request->sandbox,
      .size = request->sandbox_size,
      .standby = request->mode != SANDWIRE_FORKED && standby_can_take(request),
      .fresh = fresh,
  };
  const char *reason = "";
  run->sandbox = sandbox_acquire(&wish, &run->sandbox_user, &reason);
  if (run->sandbox == NULL) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, 0, reason);
  }
}

static void on_sandbox_failed(struct run *run);

void attaching_take_another_sandbox(struct run *run) {
  run->announced_listener = -1;
  event_loop_close(&run->rendezvous);
  event_loop_close(&run->listener);
  sandbox_release(run->sandbox);
  run->sandbox = NULL;
  attaching_take_sandbox(run, true);
  if (run->sandbox != NULL && sandbox_state(run->sandbox) == SANDBOX_FAILED) { /* without a change to come */
    on_sandbox_failed(run);
  }
}

void attaching_take_report(struct run *run) {
  const struct setup_report *said = run->sandbox == NULL ? NULL : sandbox_attach_report(run->sandbox);
  if (said != NULL && said->step != 0) {
    setup_report_failure(&run->report, said->step, said->error, said->detail);
  }
}

bool attaching_lost_sandbox(const struct run *run, const siginfo_t *info) {
  return (run->phase == RUN_STARTING || run->phase == RUN_LAUNCHING) &&
         run->request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC && sandbox_is_prewarmed(run->sandbox) &&
         run->request->fds[0] >= 0 && info->si_code == CLD_KILLED && info->si_status == SIGKILL &&
         sandbox_attach_report(run->sandbox)->step == 0 && run_init_is_ending(run);
}

/* The sandboxee has closed its end: its filter is in force, or it has ended. */
static void on_rendezvous_closed(struct watch *watch, uint32_t events) {
  (void)events;
  struct run *run = RUN_OF(watch, rendezvous);
  int32_t number;
  if (recv(watch->fd, &number, sizeof(number), MSG_DONTWAIT) == (ssize_t)sizeof(number) && number >= 0) {
    run->announced_listener = number;
  }
  event_loop_close(watch);
  run_advance(run);
}

/* Takes the socket over. Its end, not its one message, is what counts: waking up once is enough. */
static bool watch_rendezvous(struct run *run, int socket) {
  if (event_loop_add(&run->rendezvous, socket, EPOLLRDHUP, on_rendezvous_closed) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    close(socket);
    return false;
  }
  return true;
}

/* ---- by the standby process ---- */

static void instruct_standby(struct run *run) {
  if (!sandbox_is_current(run->sandbox)) {
    run_move(run, RUN_AWAITING_SANDBOX);
    return;
  }
  int socket;
  if (!sandbox_hand_over_standby(run->sandbox, &run->sandboxee, run_on_sandboxee_end, &socket)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    return;
  }
  const int cgroup_fd = run->cgroup == NULL ? -1 : cgroup_entrance(run->cgroup);
  /* EPIPE: it has ended. Then that is seen next, and what it has said. */
  if (standby_instruct(socket, run->request, cgroup_fd) != 0 && errno != EPIPE) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, errno, "telling the sandboxee what to run");
    close(socket);
    return;
  }
  if (!watch_rendezvous(run, socket)) {
    return;
  }
  if (run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    start_request_close_fds(run->request); /* the sandboxee has its own */
  }                                        /* otherwise they may be needed again, until the program begins */
  run_move(run, RUN_STARTING);
}

/* ---- by an attach helper ---- */

static void on_attach_helper_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)usage;
  struct run *run = RUN_OF(process, attach_helper);
  struct setup_report *said = sandbox_attach_report(run->sandbox);
  if (said->is_stale && run_is_open(run)) {
    orphans_forker_ended(info);
    run_move(run, RUN_AWAITING_SANDBOX);
    run_advance(run);
    return;
  }
  const pid_t sandboxee = said->child_pid;
  said->child_pid = 0; /* it is watched now, and its number may become another's one day */
  if (sandboxee > 0) {
    run_watch_sandboxee(run, sandboxee);
  }
  attaching_take_report(run);
  orphans_forker_ended(info);
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, 0, "the process that enters the sandbox was killed");
  } else if (run->request->mode == SANDWIRE_FORKED && run_is_open(run)) {
    forked_sandboxee_await(run);
  }
  start_request_close_fds(run->request); /* the sandboxee has its own */
  if (!run_is_open(run)) {
    process_kill(&run->sandboxee);
  }
  run_advance(run);
}

static void fork_attach_helper(struct run *run) {
  int pair[2];
  if (start_request_open_null(run->request) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_FDS, errno, "/dev/null");
    return;
  }
  if (rendezvous_pair(run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC, pair) != 0) {
    run_fail_setup(run, SANDWIRE_STEP_NAMESPACES, errno, "a network for a socket");
    return;
  }
  if (!watch_rendezvous(run, pair[0])) {
    close(pair[1]);
    return;
  }
  struct setup_report *report = sandbox_attach_report(run->sandbox);
  pid_t self = getpid();
  pid_t pid = process_fork();
  if (pid == 0) {
    const int cgroup_fd = run->cgroup == NULL ? -1 : cgroup_entrance(run->cgroup);
    if (run->request->mode == SANDWIRE_FORKED) {
      attach_sending_main(run->request, report, run->sandbox, pair[1], cgroup_fd, self);
    }
    attach_joining_main(run->request, report, run->sandbox, pair[1], cgroup_fd, self);
  }
  int error = errno;
  close(pair[1]);
  if (pid < 0) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, error, "the attach helper");
  } else if (!process_watch(&run->attach_helper, pid, on_attach_helper_end)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  }
}

void attaching_begin(struct run *run) {
  if (sandbox_has_standby(run->sandbox)) {
    instruct_standby(run);
  } else {
    fork_attach_helper(run);
  }
}

/* ---- what becomes of the sandbox ---- */

static void on_sandbox_failed(struct run *run) {
  if (sandbox_is_prewarmed(run->sandbox) && run->sandboxee.pid == 0) {
    /* It failed before a process of the run was in it. An attach helper, if there is one, finds out by
     * itself. */
    if (run->attach_helper.pid == 0) {
      run_move(run, RUN_AWAITING_SANDBOX);
    }
    return;
  }
  const struct setup_report *report = sandbox_report(run->sandbox);
  setup_report_failure(&run->report, report->step, report->error, report->detail);
  /* Once a sandboxee may be in it, its only failure is that its init was killed. */
  run_end(run, run->phase == RUN_AWAITING_SANDBOX ? SANDWIRE_SETUP_FAILED : SANDWIRE_INTERNAL_FAILURE);
}

void attaching_follow_sandbox(struct run *run) {
  const enum sandbox_state state = sandbox_state(run->sandbox);
  if (state == SANDBOX_FAILED) {
    on_sandbox_failed(run);
  } else if (state == SANDBOX_READY && run->phase == RUN_AWAITING_SANDBOX) {
    run_move(run, RUN_ATTACHING);
  }
}
