/* The life of a run, event by event:
 *
 *   maker forked ─► init ready ─► enterer forked ─► sandboxee there ─► filter in force ─► sandboxee ended
 *                                                                                         └► Ended, then init killed
 *
 * Maker and enterer do a bounded piece of work and end by themselves; they are never killed, since they alone know
 * the pids of what they forked. Init and sandboxee are killed at will. The run is forgotten when all are reaped. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadlines.h"
#include "event_loop.h"
#include "events.h"
#include "launch.h"
#include "listener.h"
#include "maker.h"
#include "sandwire/wire.generated.h"
#include "setup_report.h"
#include "violation.h"

/* A child of ours, direct or by reparenting, watched by its pidfd until it is reaped. */
struct process {
  struct watch watch;
  pid_t pid; /* 0: not there (yet, or any more) */
  struct run *run;
};

struct run {
  struct run *next, *previous;
  struct start_request *request;
  struct setup_report *report;
  struct process maker, init, enterer, sandboxee;
  struct watch ready, rendezvous, listener;
  struct deadline walltime;
  int announced_listener;   /* its number in the sandboxee; -1: not announced */
  bool sandbox_ready;       /* init has said so */
  bool rendezvous_closed;   /* the filter is in force */
  bool launched;            /* the one notification that is not a violation has been let through */
  bool started;             /* Started was sent */
  bool ended;               /* Ended was sent */
  struct run_end end;       /* kind 0: it goes on */
  struct violation violation;
};

#define RUN_OF(pointer, member) ((struct run *)((char *)(pointer)-offsetof(struct run, member)))

static struct run *runs;
static void (*when_all_ended)(void); /* set when the host is gone */

static void advance(struct run *run);

static struct run *find_run(uint64_t number) {
  struct run *run = runs;
  while (run != NULL && run->request->run != number) {
    run = run->next;
  }
  return run;
}

/* --- processes --------------------------------------------------------------------------------------------- */

static void on_process_end(struct watch *watch, uint32_t events);

/* Begins to watch a child. Its pid cannot be another's: it is not reaped before we do it. */
static bool process_watch(struct process *process, struct run *run, pid_t pid) {
  process->run = run;
  process->pid = pid;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd >= 0 && event_loop_add(&process->watch, pidfd, EPOLLIN, on_process_end) == 0) {
    return true;
  }
  int error = errno;
  if (pidfd >= 0) {
    close(pidfd);
  }
  /* Out of fds or memory. What cannot be watched must not run; reaped here, as nobody else will. */
  kill(pid, SIGKILL);
  waitpid(pid, NULL, __WALL);
  process->pid = 0;
  setup_report_failure(run->report, SANDWIRE_STEP_MEMORY, error, "pidfd");
  return false;
}

static void process_kill(const struct process *process) {
  if (process->pid > 0) {
    kill(process->pid, SIGKILL);
  }
}

/* Is the process on its way out? Field 9 of /proc/<pid>/stat holds the kernel's PF_EXITING (0x4). */
static bool is_exiting(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return true;
  }
  ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) {
    return true;
  }
  text[size] = '\0';
  unsigned flags = 0;
  const char *after_name = strrchr(text, ')');
  if (after_name == NULL || sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1) {
    return true;
  }
  return (flags & 0x4) != 0;
}

/* --- ending ------------------------------------------------------------------------------------------------ */

/* Settles how the run ends; the first word stands. Kills what can be killed. */
static void end_run(struct run *run, int kind) {
  if (run->end.kind == 0) {
    run->end.kind = kind;
  }
  deadline_clear(&run->walltime);
  process_kill(&run->sandboxee);
  process_kill(&run->init);
}

static void fail_setup(struct run *run, int step, int error, const char *detail) {
  setup_report_failure(run->report, step, error, detail);
  end_run(run, SANDWIRE_SETUP_FAILED);
}

static void on_walltime(struct deadline *deadline) {
  struct run *run = RUN_OF(deadline, walltime);
  end_run(run, SANDWIRE_TIMED_OUT);
  advance(run);
}

/* The sandboxee was reaped with these. */
static void settle_exit(struct run *run, const siginfo_t *info) {
  if (run->end.kind != 0) {
    return;
  }
  if (run->report->step != 0) { /* it said so before it ended: the program never ran */
    run->end.kind = SANDWIRE_SETUP_FAILED;
  } else if (info->si_code == CLD_EXITED) {
    run->end.kind = SANDWIRE_EXITED;
    run->end.exit_code = info->si_status;
  } else if (info->si_status == SIGKILL && (run->init.pid == 0 || is_exiting(run->init.pid))) {
    /* Nobody of ours killed it: it went down with its init. */
    setup_report_failure(run->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
    run->end.kind = SANDWIRE_INTERNAL_FAILURE;
  } else {
    run->end.kind = SANDWIRE_SIGNALED;
    run->end.signal = info->si_status;
  }
}

static void forget(struct run *run) {
  if (run->previous != NULL) {
    run->previous->next = run->next;
  } else {
    runs = run->next;
  }
  if (run->next != NULL) {
    run->next->previous = run->previous;
  }
  deadline_clear(&run->walltime);
  event_loop_close(&run->ready);
  event_loop_close(&run->rendezvous);
  event_loop_close(&run->listener);
  setup_report_destroy(run->report);
  start_request_destroy(run->request);
  free(run);
  if (runs == NULL && when_all_ended != NULL) {
    when_all_ended();
  }
}

/* --- the steps --------------------------------------------------------------------------------------------- */

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct run *run = RUN_OF(watch, ready);
  char byte;
  if (read(watch->fd, &byte, 1) == 1) {
    run->sandbox_ready = true;
  } /* otherwise init has ended, and its end will be seen */
  event_loop_close(watch);
  advance(run);
}

static void on_rendezvous(struct watch *watch, uint32_t events) {
  (void)events;
  struct run *run = RUN_OF(watch, rendezvous);
  int32_t number;
  ssize_t size = recv(watch->fd, &number, sizeof(number), MSG_DONTWAIT);
  if (size == (ssize_t)sizeof(number) && number >= 0) {
    run->announced_listener = number;
    return; /* the end of the stream follows when the filter is in force */
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  run->rendezvous_closed = true;
  event_loop_close(watch);
  advance(run);
}

static void on_notification(struct watch *watch, uint32_t events) {
  struct run *run = RUN_OF(watch, listener);
  if (!(events & EPOLLIN)) { /* EPOLLHUP: nothing runs under the filter any more */
    event_loop_close(watch);
    return;
  }
  struct seccomp_notif notification;
  memset(&notification, 0, sizeof(notification)); /* the kernel insists */
  if (ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_RECV, &notification) != 0) {
    return; /* ENOENT: the thread was killed meanwhile; EINTR: it comes again */
  }
  if (!run->launched && run->end.kind == 0 && listener_is_launch(run->request->mode, &notification)) {
    run->launched = true;
    events_send_sandboxed(run->request->run); /* before it runs on, so that the host knows it first */
    if (listener_let_through(watch->fd, &notification) != 0 && errno != ENOENT) {
      fail_setup(run, SANDWIRE_STEP_LISTENER, errno, "answering the launch");
      advance(run);
    }
    return;
  }
  if (run->end.kind != 0) {
    return; /* being killed already; the thread stands still until then */
  }
  violation_read(&run->violation, &notification);
  /* The listener stays open until everybody is dead: closing it would answer the syscall with ENOSYS, and another
   * process of the sandbox could run on for a moment. */
  end_run(run, SANDWIRE_VIOLATED);
  advance(run);
}

static void take_listener(struct run *run) {
  int listener = listener_take(run->sandboxee.watch.fd, run->sandboxee.pid, run->announced_listener);
  if (listener < 0 || event_loop_add(&run->listener, listener, EPOLLIN, on_notification) != 0) {
    int error = errno;
    if (listener >= 0) {
      close(listener);
    }
    /* A sandboxee that has failed and ended has said so itself. */
    if (!is_exiting(run->sandboxee.pid)) {
      fail_setup(run, SANDWIRE_STEP_LISTENER, error, "pidfd_getfd");
    }
  }
}

static void enter(struct run *run) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "socketpair");
    return;
  }
  if (event_loop_add(&run->rendezvous, pair[0], EPOLLIN, on_rendezvous) != 0) {
    fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    close(pair[0]);
    close(pair[1]);
    return;
  }
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    launch_main(run->request, run->report, run->init.pid, pair[1], self);
  }
  int error = errno;
  close(pair[1]);
  if (pid < 0) {
    fail_setup(run, SANDWIRE_STEP_FORK, error, "enterer");
  } else if (!process_watch(&run->enterer, run, pid)) {
    end_run(run, SANDWIRE_SETUP_FAILED);
  }
}

/* Does whatever the state allows next. Called after every event; may free the run. */
static void advance(struct run *run) {
  if (run->end.kind == 0 && run->sandbox_ready && run->init.pid > 0 && run->enterer.pid == 0 && !run->started) {
    run->sandbox_ready = false; /* entered once */
    enter(run);
  }
  if (run->end.kind == 0 && run->rendezvous_closed && run->announced_listener >= 0 && run->sandboxee.pid > 0) {
    run->rendezvous_closed = false;
    take_listener(run);
  }
  /* With a sandboxee, the end is told when it is reaped; without one, at once. An enterer may still bring one. */
  if (run->end.kind != 0 && !run->ended && run->sandboxee.pid == 0 && run->enterer.pid == 0) {
    run->ended = true;
    events_send_ended(run->request->run, &run->end, run->report, &run->violation);
    process_kill(&run->init);
  }
  if (run->ended && run->maker.pid == 0 && run->init.pid == 0) {
    forget(run);
  }
}

static void maker_ended(struct run *run, bool success) {
  /* Set before anything can fail: init must be reaped even if the maker failed after forking it. */
  if (run->report->init_pid > 0 && !process_watch(&run->init, run, run->report->init_pid)) {
    end_run(run, SANDWIRE_SETUP_FAILED);
  }
  if (!success) {
    fail_setup(run, SANDWIRE_STEP_FORK, 0, "the process that makes the sandbox was killed");
  }
  if (run->end.kind != 0) {
    process_kill(&run->init);
  }
}

static void enterer_ended(struct run *run, bool success) {
  start_request_close_fds(run->request); /* the sandboxee has its own */
  if (run->report->sandboxee_pid > 0) {
    if (!process_watch(&run->sandboxee, run, run->report->sandboxee_pid)) {
      end_run(run, SANDWIRE_SETUP_FAILED);
    } else if (run->end.kind == 0) {
      run->started = true;
      events_send_started(run->request->run, run->sandboxee.pid, run->init.pid);
    }
  }
  if (!success) {
    fail_setup(run, SANDWIRE_STEP_FORK, 0, "the process that enters the sandbox was killed");
  }
  if (run->end.kind != 0) {
    process_kill(&run->sandboxee);
  }
}

static void on_process_end(struct watch *watch, uint32_t events) {
  (void)events;
  struct process *process = (struct process *)watch; /* its first member */
  struct run *run = process->run;
  siginfo_t info;
  struct rusage usage;
  memset(&info, 0, sizeof(info));
  /* By syscall: the C library's waitid has no rusage. */
  if (syscall(SYS_waitid, P_PID, process->pid, &info, WEXITED | WNOHANG | __WALL, &usage) != 0 || info.si_pid == 0) {
    return;
  }
  event_loop_close(&process->watch);
  process->pid = 0;
  const bool success = info.si_code == CLD_EXITED && info.si_status == 0;
  if (process == &run->maker) {
    maker_ended(run, success);
  } else if (process == &run->enterer) {
    enterer_ended(run, success);
  } else if (process == &run->sandboxee) {
    run->end.usage = usage;
    settle_exit(run, &info);
    end_run(run, run->end.kind);
  } else if (run->end.kind == 0) { /* init, before anybody wanted it */
    if (run->report->step != 0) {
      end_run(run, SANDWIRE_SETUP_FAILED);
    } else {
      setup_report_failure(run->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
      end_run(run, SANDWIRE_INTERNAL_FAILURE);
    }
  }
  advance(run);
}

/* --- requests ---------------------------------------------------------------------------------------------- */

static void make_sandbox(struct run *run) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "pipe");
    return;
  }
  if (event_loop_add(&run->ready, ready[0], EPOLLIN, on_ready) != 0) {
    fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
    close(ready[0]);
    close(ready[1]);
    return;
  }
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    maker_main(run->request, run->report, ready[1], self);
  }
  int error = errno;
  close(ready[1]);
  if (pid < 0) {
    fail_setup(run, SANDWIRE_STEP_FORK, error, "maker");
  } else if (!process_watch(&run->maker, run, pid)) {
    end_run(run, SANDWIRE_SETUP_FAILED);
  }
}

void run_start(struct start_request *request) {
  struct run *run = calloc(1, sizeof(*run));
  struct setup_report *report = setup_report_create();
  if (run == NULL || report == NULL) {
    free(run);
    setup_report_destroy(report);
    events_send_refused(request->run, "the supervisor has no memory left");
    start_request_destroy(request);
    return;
  }
  run->request = request;
  run->report = report;
  run->announced_listener = -1;
  run->ready.fd = run->rendezvous.fd = run->listener.fd = -1;
  run->maker.watch.fd = run->init.watch.fd = run->enterer.watch.fd = run->sandboxee.watch.fd = -1;
  run->next = runs;
  if (runs != NULL) {
    runs->previous = run;
  }
  runs = run;
  if (request->walltime_ms > 0 &&
      deadline_set(&run->walltime, monotonic_now_ns() + request->walltime_ms * 1000000u, on_walltime) != 0) {
    fail_setup(run, SANDWIRE_STEP_MEMORY, ENOMEM, "walltime");
  } else {
    make_sandbox(run);
  }
  advance(run);
}

void run_kill(uint64_t number) {
  struct run *run = find_run(number);
  if (run != NULL) {
    end_run(run, SANDWIRE_KILLED);
    advance(run);
  }
}

void run_set_walltime(uint64_t number, uint64_t walltime_ms) {
  struct run *run = find_run(number);
  if (run == NULL || run->end.kind != 0) {
    return;
  }
  deadline_clear(&run->walltime);
  if (walltime_ms > 0 &&
      deadline_set(&run->walltime, monotonic_now_ns() + walltime_ms * 1000000u, on_walltime) != 0) {
    end_run(run, SANDWIRE_TIMED_OUT); /* no memory for the limit: better none of the run than none of the limit */
    advance(run);
  }
}

void run_attach_listener(uint64_t number, int listener) {
  struct run *run = find_run(number);
  if (run == NULL || run->end.kind != 0 || run->launched || run->request->mode != SANDWIRE_SANDBOX_ME_HERE) {
    close(listener);
    return;
  }
  if (!listener_is_one(listener)) {
    close(listener);
    fail_setup(run, SANDWIRE_STEP_LISTENER, EINVAL, "the fd the sandboxee sent is no seccomp listener");
  } else if (event_loop_add(&run->listener, listener, EPOLLIN, on_notification) != 0) {
    close(listener);
    fail_setup(run, SANDWIRE_STEP_MEMORY, errno, "epoll");
  } else {
    run->launched = true; /* it has taken its filter, and needs no syscall let through */
    events_send_sandboxed(number);
  }
  advance(run);
}

static void on_patience_ended(struct deadline *deadline) {
  (void)deadline;
  when_all_ended();
}

void run_end_all(void (*finished)(void)) {
  static struct deadline patience;
  when_all_ended = finished;
  struct run *next;
  for (struct run *run = runs; run != NULL; run = next) {
    next = run->next;
    end_run(run, SANDWIRE_KILLED);
    advance(run);
  }
  if (runs == NULL || deadline_set(&patience, monotonic_now_ns() + 1000000000u, on_patience_ended) != 0) {
    finished();
  }
}
