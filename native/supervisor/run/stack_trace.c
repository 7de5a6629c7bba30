#include "stack_trace.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/process.h"
#include "run_private.h"
#include "sandwire/wire.generated.h"
#include "unwinder.h"

enum { STOP_PATIENCE_MS = 100, UNWIND_PATIENCE_MS = 800 };

static void unwind(struct run *run);
static void finish(struct run *run);

/* The thread that was held goes on to its end, by the signal it was given. */
static void go_on(struct run *run) {
  if (run_move(run, RUN_RUNNING)) {
    tracer_resume(&run->stack_trace.tracer);
  }
}

/* ---- the unwinder ---- */

static void on_unwound(struct run *run, const void *answer, size_t size) {
  struct stack_trace *trace = &run->stack_trace;
  trace->unwinder = NULL;
  if (answer != NULL) {
    trace->answer = malloc(size);
  } else if (trace->missing == NULL) {
    trace->missing = "the unwinder failed on the program's memory or files";
  }
  if (trace->answer != NULL) {
    memcpy(trace->answer, answer, size);
    trace->answer_size = size;
  }
  finish(run);
}

/* Gives up. May free the run. */
static void stop_unwinding(struct run *run) {
  unwinder_end(run->stack_trace.unwinder);
  on_unwound(run, NULL, 0);
}

static void on_overdue(struct deadline *deadline) {
  struct run *run = RUN_OF(deadline, stack_trace.deadline);
  if (run->stack_trace.request != NULL) {
    unwind(run); /* those that have stopped */
  } else {
    run->stack_trace.missing = "there was none within a second";
    stop_unwinding(run);
  }
}

static bool set_deadline(struct stack_trace *trace, uint64_t milliseconds) {
  return deadline_set(&trace->deadline, monotonic_now_ns() + milliseconds * 1000000u, on_overdue) == 0;
}

/* If anything fails, the run goes on without a trace. */
static void unwind(struct run *run) {
  struct stack_trace *trace = &run->stack_trace;
  struct unwind_request *request = trace->request;
  trace->request = NULL;
  const char *missing = "the supervisor has no memory left";
  if (set_deadline(trace, UNWIND_PATIENCE_MS)) {
    trace->unwinder =
        unwinder_begin(request, request->has_listener ? run->listener.fd : -1, run, on_unwound, &missing);
  }
  free(request);
  if (trace->unwinder == NULL) {
    trace->missing = missing;
    finish(run);
  }
}

/* Goes on with what the trace held up. May free the run. */
static void finish(struct run *run) {
  deadline_clear(&run->stack_trace.deadline);
  if (run->phase == RUN_UNWINDING) {
    run_move(run, RUN_ENDING);
  } else if (run->phase == RUN_CRASHING) {
    go_on(run);
  }
  run_advance(run);
}

/* ---- stopping ---- */

static void read_registers(struct unwind_thread *into, pid_t tid) {
  struct iovec part = {&into->registers, sizeof(into->registers)};
  into->registers_size =
      ptrace(PTRACE_GETREGSET, tid, (void *)(long)NT_PRSTATUS, &part) == 0 ? (int32_t)part.iov_len : 0;
}

/* Reads the registers of those that are stopped. True if all are that should be. */
static bool all_stand(struct run *run) {
  struct stack_trace *trace = &run->stack_trace;
  bool all = true;
  for (int i = 0; i < trace->request->thread_count; i++) {
    struct unwind_thread *thread = &trace->request->threads[i];
    const struct traced_thread *traced = tracer_find(&trace->tracer, thread->tid);
    if (traced != NULL && traced->stopped && thread->registers_size == 0) {
      read_registers(thread, thread->tid);
    }
    all = all && (traced == NULL || traced->stopped);
  }
  return all;
}

static void want(struct run *run, struct traced_thread *thread) {
  struct stack_trace *trace = &run->stack_trace;
  trace->request->threads[trace->request->thread_count++] = (struct unwind_thread){.tid = thread->tid};
  if (!thread->stopped) {
    tracer_interrupt(&trace->tracer, thread);
  }
}

/* A thread in a violation waits for its answer and for nothing else (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).
 * With an answer it stops on its way back into the program, and does not get there. */
static void answer_violation(struct run *run) {
  struct seccomp_notif_resp response;
  memset(&response, 0, sizeof(response));
  response.id = run->violation.notification;
  response.error = -ENOSYS;
  (void)ioctl(run->listener.fd, SECCOMP_IOCTL_NOTIF_SEND, &response); /* ENOENT: it waits no more */
}

/* kind: of the end that the trace is for. False: there will be no trace. */
static bool begin(struct run *run, int kind, pid_t pid, pid_t tid) {
  struct stack_trace *trace = &run->stack_trace;
  trace->spent = true;
  trace->kind = kind;
  trace->request = calloc(1, sizeof(*trace->request));
  if (trace->request == NULL || !set_deadline(trace, STOP_PATIENCE_MS)) {
    free(trace->request);
    trace->request = NULL;
    trace->missing = "the supervisor has no memory left";
    return false;
  }
  trace->request->pid = pid;
  trace->request->tid = tid;
  trace->request->all_threads = run->request->stack_traces.all_threads;
  struct traced_thread *thread = tracer_find(&trace->tracer, tid);
  if (thread == NULL) { /* the unwinder stops them itself */
    trace->request->has_listener = kind == SANDWIRE_VIOLATED;
    trace->request->notification = run->violation.notification;
    unwind(run);
    return true;
  }
  want(run, thread);
  for (size_t i = 0; trace->request->all_threads && i < trace->tracer.count; i++) {
    if (trace->tracer.threads[i].tid != tid) {
      want(run, &trace->tracer.threads[i]);
    }
  }
  if (kind == SANDWIRE_VIOLATED) {
    answer_violation(run);
  }
  if (all_stand(run)) {
    unwind(run);
  }
  return true;
}

static void on_thread_stopped(struct tracer *tracer, struct traced_thread *thread, enum tracer_stop why) {
  struct run *run = RUN_OF(tracer, stack_trace.tracer);
  struct stack_trace *trace = &run->stack_trace;
  const struct stack_trace_switches *switches = &run->request->stack_traces;
  if (trace->request != NULL) {
    if (all_stand(run)) {
      unwind(run);
    }
    return;
  }
  if (run->phase == RUN_CRASHING || run->phase == RUN_READING || run->phase == RUN_UNWINDING) {
    return; /* it stays; the phase that comes next resumes or kills it */
  }
  const bool is_due =
      (why == TRACER_FATAL_SIGNAL && switches->on_signal) || (why == TRACER_EXITING && switches->on_exit);
  if (!is_due || trace->spent || run->phase != RUN_RUNNING) {
    tracer_resume(tracer);
    return;
  }
  const int kind = why == TRACER_FATAL_SIGNAL ? SANDWIRE_SIGNALED : SANDWIRE_EXITED;
  if (run_move(run, RUN_CRASHING) && !begin(run, kind, run->sandboxee.pid, thread->tid)) {
    go_on(run);
  }
  run_advance(run);
}

/* ---- for the run ---- */

static void on_sandboxee_withheld(struct process *process) {
  struct run *run = RUN_OF(process, sandboxee);
  if (run->stack_trace.unwinder != NULL) {
    stop_unwinding(run); /* it traces a process that has ended */
  }
}

void stack_trace_init(struct run *run) {
  run->stack_trace.tracer.stopped = on_thread_stopped;
  run->sandboxee.withheld = on_sandboxee_withheld;
}

void stack_trace_watch(struct run *run) {
  const struct stack_trace_switches *switches = &run->request->stack_traces;
  if ((switches->on_signal || switches->on_exit) &&
      !tracer_begin(&run->stack_trace.tracer, &run->sandboxee, switches->on_exit,
                    run->request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC)) {
    run->stack_trace.missing = "ptrace is not allowed here";
  }
}

/* The main thread, or another one where that has ended before. */
static pid_t representative_of(pid_t pid) {
  enum { LOOKS = 64 };
  if (!process_is_exiting(pid)) {
    return pid;
  }
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
  DIR *directory = opendir(path);
  pid_t found = pid;
  const struct dirent *entry;
  for (int looks = 0;
       directory != NULL && found == pid && looks < LOOKS && (entry = readdir(directory)) != NULL; looks++) {
    const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
    if (tid > 0 && !process_is_exiting(tid)) {
      found = tid;
    }
  }
  if (directory != NULL) {
    closedir(directory);
  }
  return found;
}

bool stack_trace_is_due(const struct run *run) {
  const struct stack_trace_switches *switches = &run->request->stack_traces;
  const enum run_phase phase = run_is_open(run) ? run->phase : run->last_open_phase;
  return ((run->end.kind == SANDWIRE_VIOLATED && switches->on_violation) ||
          (run->end.kind == SANDWIRE_TIMED_OUT && switches->on_timeout) ||
          (run->end.kind == SANDWIRE_KILLED && switches->on_kill)) &&
         !run->stack_trace.spent && phase >= RUN_RUNNING && run->sandboxee.pid > 0;
}

bool stack_trace_begin(struct run *run) {
  if (run->end.kind == SANDWIRE_VIOLATED) {
    return begin(run, run->end.kind, run->violation.pid, run->violation.tid);
  }
  return begin(run, run->end.kind, run->sandboxee.pid, representative_of(run->sandboxee.pid));
}

void stack_trace_drop(struct run *run) {
  struct stack_trace *trace = &run->stack_trace;
  trace->spent = true;
  free(trace->request);
  trace->request = NULL;
  deadline_clear(&trace->deadline);
  unwinder_end(trace->unwinder);
  trace->unwinder = NULL;
}

void stack_trace_sandboxee_ended(struct run *run) {
  tracer_end(&run->stack_trace.tracer);
}

void stack_trace_report(struct run *run) {
  const struct stack_trace *trace = &run->stack_trace;
  if (trace->kind == run->end.kind) {
    run->end.stack_traces = trace->answer;
    run->end.stack_traces_size = trace->answer_size;
    run->end.stack_traces_missing = trace->answer == NULL ? trace->missing : NULL;
  } else if (run->end.kind == SANDWIRE_SIGNALED && run->request->stack_traces.on_signal) {
    run->end.stack_traces_missing =
        trace->tracer.letting_go
            ? "it was traced no longer: it had too many threads, or took too many signals"
            : trace->missing;
  }
}

void stack_trace_destroy(struct run *run) {
  tracer_end(&run->stack_trace.tracer);
  deadline_clear(&run->stack_trace.deadline);
  free(run->stack_trace.request);
  free(run->stack_trace.answer);
}
