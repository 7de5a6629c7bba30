/* A sandboxee is the resident of its sandbox, which only has to be told what to run: with no process to be
 * forked on the way, that is the fastest. Where there is none – a child of a fork server comes by itself, and
 * a request may be too long for a message – an enterer is forked. It does a bounded piece of work and ends by
 * itself; it is never killed, since it alone knows the pid of what it forked. */
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

void entering_take_sandbox(struct run *run, bool fresh) {
  const struct start_request *request = run->request;
  const struct sandbox_wish wish = {
      .description = request->sandbox,
      .size = request->sandbox_size,
      .resident = request->mode != SANDWIRE_FORKED && resident_can_take(request),
      .fresh = fresh,
  };
  const char *reason = "";
  run->sandbox = sandbox_acquire(&wish, &run->sandbox_user, &reason);
  if (run->sandbox == NULL) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, 0, reason);
  }
}

static void on_sandbox_failed(struct run *run);

void entering_start_over(struct run *run) {
  run->entered = run->rendezvous_closed = false;
  run->announced_listener = -1;
  event_loop_close(&run->rendezvous);
  event_loop_close(&run->listener);
  sandbox_release(run->sandbox);
  run->sandbox = NULL;
  entering_take_sandbox(run, true);
  if (run->sandbox != NULL &&
      sandbox_state(run->sandbox) == SANDBOX_FAILED) { /* of which nobody would tell */
    on_sandbox_failed(run);
  }
}

void entering_hear(struct run *run) {
  const struct setup_report *said = run->sandbox == NULL ? NULL : sandbox_entrance_report(run->sandbox);
  if (said != NULL && said->step != 0) {
    setup_report_failure(&run->report, said->step, said->error, said->detail);
  }
}

bool entering_was_lost(const struct run *run, const siginfo_t *info) {
  return run->end.kind == 0 && run->request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC && !run->launched &&
         sandbox_was_made_ahead(run->sandbox) && run->request->fds[0] >= 0 && info->si_code == CLD_KILLED &&
         info->si_status == SIGKILL && sandbox_entrance_report(run->sandbox)->step == 0 &&
         run_init_is_ending(run);
}

/* The sandboxee has closed its end: its filter is in force, or it has ended. */
static void on_rendezvous_closed(struct watch *watch, uint32_t events) {
  (void)events;
  struct run *run = RUN_OF(watch, rendezvous);
  int32_t number;
  if (recv(watch->fd, &number, sizeof(number), MSG_DONTWAIT) == (ssize_t)sizeof(number) && number >= 0) {
    run->announced_listener = number;
  }
  run->rendezvous_closed = true;
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

/* ---- by the resident ---- */

static void instruct_resident(struct run *run) {
  if (!sandbox_is_current(run->sandbox)) {
    entering_start_over(run);
    return;
  }
  int socket;
  if (!sandbox_hand_over_resident(run->sandbox, &run->sandboxee, run_on_sandboxee_end, &socket)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    return;
  }
  const int cgroup_fd = run->cgroup == NULL ? -1 : cgroup_entrance(run->cgroup);
  /* EPIPE: it has ended. Then that is seen next, and what it has said. */
  if (resident_instruct(socket, run->request, cgroup_fd) != 0 && errno != EPIPE) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, errno, "telling the sandboxee what to run");
    close(socket);
    return;
  }
  if (!watch_rendezvous(run, socket)) {
    return;
  }
  run_tell_started(run);
  if (run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    start_request_close_fds(run->request); /* the sandboxee has its own */
  }                                        /* otherwise they may be needed again, until the program begins */
}

/* ---- by an enterer ---- */

static void on_enterer_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)usage;
  struct run *run = RUN_OF(process, enterer);
  struct setup_report *said = sandbox_entrance_report(run->sandbox);
  if (said->is_stale && run->end.kind == 0) {
    orphans_forker_ended(info);
    entering_start_over(run);
    run_advance(run);
    return;
  }
  const pid_t sandboxee = said->child_pid;
  said->child_pid = 0; /* it is watched now, and its number may become another's one day */
  if (sandboxee > 0) {
    run_watch_sandboxee(run, sandboxee);
  }
  entering_hear(run);
  orphans_forker_ended(info);
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    run_fail_setup(run, SANDWIRE_STEP_FORK, 0, "the process that enters the sandbox was killed");
  } else if (run->request->mode == SANDWIRE_FORKED && run->end.kind == 0) {
    forked_await(run);
  }
  start_request_close_fds(run->request); /* the sandboxee has its own */
  if (run->end.kind != 0) {
    process_kill(&run->sandboxee);
  }
  run_advance(run);
}

static void fork_enterer(struct run *run) {
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
  struct setup_report *report = sandbox_entrance_report(run->sandbox);
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
    run_fail_setup(run, SANDWIRE_STEP_FORK, error, "enterer");
  } else if (!process_watch(&run->enterer, pid, on_enterer_end)) {
    run_fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  }
}

/* ---- what becomes of the sandbox before it is entered, and after ---- */

static void on_sandbox_failed(struct run *run) {
  if (sandbox_was_made_ahead(run->sandbox) && run->sandboxee.pid == 0) {
    /* While it waited, before anybody was in it. The enterer, if there is one, finds that out for itself. */
    if (run->enterer.pid == 0) {
      entering_start_over(run);
    }
    return;
  }
  const struct setup_report *report = sandbox_report(run->sandbox);
  setup_report_failure(&run->report, report->step, report->error, report->detail);
  /* Once somebody is in it, its only failure is that its init was killed. */
  run_end(run, run->entered ? SANDWIRE_INTERNAL_FAILURE : SANDWIRE_SETUP_FAILED);
}

void entering_follow_sandbox(struct run *run) {
  switch (sandbox_state(run->sandbox)) {
    case SANDBOX_READY:
      if (!run->entered) {
        run->entered = true;
        if (sandbox_has_resident(run->sandbox)) {
          instruct_resident(run);
        } else {
          fork_enterer(run);
        }
      }
      break;
    case SANDBOX_FAILED:
      on_sandbox_failed(run);
      break;
    case SANDBOX_BEING_MADE:
      break;
  }
}
