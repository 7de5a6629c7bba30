/* The stack trace of a run: when one is due, the threads are stopped, a process of its own unwinds them
 * (native/unwinder), and only then the run goes on. The supervisor itself looks at nothing of the
 * sandboxee's, waits for nothing, and gives up after a second. Runs in the supervisor. */
#ifndef SUPERVISOR_STACK_TRACE_H
#define SUPERVISOR_STACK_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/deadlines.h"
#include "loop/process.h"
#include "tracer.h"

struct run;
struct unwind_request;
struct unwinder;

struct stack_trace {
  bool spent; /* one a run, and none once it is being killed */
  int kind;   /* of the end it is for, enum sandwire_end_kind; 0: none was begun */
  struct tracer tracer;
  struct unwinder *unwinder; /* NULL: none is at work */
  struct deadline deadline;
  struct unwind_request *request; /* while threads are being stopped */
  unsigned char *answer;          /* NULL: none */
  size_t answer_size;
  const char *missing;
};

void stack_trace_init(struct run *run);

/* The program is about to begin under its filter: it is traced if its policy wants stacks of crashes. */
void stack_trace_watch(struct run *run);

/* True if the end that has been settled is one that a trace is wanted for, and there can be one. */
bool stack_trace_is_due(const struct run *run);

/* RUN_UNWINDING: begins the trace that is due, before any process is killed. False: it is not possible. */
bool stack_trace_begin(struct run *run);

/* No trace from now on; what is under way is dropped. */
void stack_trace_drop(struct run *run);

/* The sandboxee was reaped. */
void stack_trace_sandboxee_ended(struct run *run);

/* Puts what there is into run->end. */
void stack_trace_report(struct run *run);

void stack_trace_destroy(struct run *run);

#endif
