/* The stack trace of a run: when one is due, the threads are stopped, a process of its own unwinds them
 * (native/unwinder), and only then the run's end goes on. The supervisor itself looks at nothing of the
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
  bool under_way;
  struct follow follow;
  struct unwinder *unwinder; /* NULL: none is at work */
  struct deadline deadline;
  struct unwind_request *request; /* while threads are being stopped */
  unsigned char *answer;          /* NULL: none */
  size_t answer_size;
  const char *missing;
};

void stack_trace_init(struct run *run);

/* The program is about to begin under its filter: it is followed if its policy wants stacks of crashes. */
void stack_trace_follow(struct run *run);

/* Called when run->end.kind has just been settled, before anybody is killed. True: a trace is under way, and
 * run_end() will be called again. */
bool stack_trace_begin(struct run *run);

/* No trace from now on; what is under way is dropped. */
void stack_trace_drop(struct run *run);

/* The sandboxee was reaped. */
void stack_trace_sandboxee_ended(struct run *run);

/* Whether the end of the run waits for it. */
bool stack_trace_holds_end(const struct run *run);

/* Puts what there is into run->end. */
void stack_trace_tell(struct run *run);

/* The run can be forgotten as far as this is concerned. */
bool stack_trace_is_idle(const struct run *run);

void stack_trace_destroy(struct run *run);

#endif
