#include "events.h"

#include <stddef.h>
#include <string.h>

#include "../../unwinder/request.h"
#include "control/control.h"
#include "protobuf.h"
#include "sandwire/wire.generated.h"

/* The longest event is Asked: six times what an argument points at, and some numbers. */
enum {
  EVENT_SIZE =
      6 * (ARGUMENT_MEMORY_SIZE + 16) + SETUP_DETAIL_SIZE + VIOLATION_PROGRAM_SIZE + VIOLATION_COMM_SIZE + 512
};

/* Only the last event of a run has a stack trace. It is too long for the stack; there is one thread. */
enum { ENDED_SIZE = EVENT_SIZE + UNWIND_ANSWER_SIZE };

static void send_event_by(void (*send)(const void *, size_t), uint32_t kind,
                          const struct sandwire_protobuf_writer *message) {
  static unsigned char bytes[ENDED_SIZE + 16];
  struct sandwire_protobuf_writer event;
  sandwire_protobuf_writer_init(&event, bytes, sizeof(bytes));
  sandwire_protobuf_put_bytes(&event, kind, message->buffer, message->size);
  send(bytes, event.size);
}

static void send_event(uint32_t kind, const struct sandwire_protobuf_writer *message) {
  send_event_by(control_send_event, kind, message);
}

/* Negative int32 values travel as their 64-bit two's complement. */
static uint64_t signed_varint(int64_t value) {
  return (uint64_t)value;
}

/* Started and Sandboxed have the same fields, for different moments. */
_Static_assert((int)SANDWIRE_STARTED_RUN == (int)SANDWIRE_SANDBOXED_RUN &&
                   (int)SANDWIRE_STARTED_PID == (int)SANDWIRE_SANDBOXED_PID &&
                   (int)SANDWIRE_STARTED_INIT_PID == (int)SANDWIRE_SANDBOXED_INIT_PID,
               "one has other fields than the other");

static void send_moment(void (*send)(const void *, size_t), uint32_t kind, uint64_t run, pid_t sandboxee,
                        pid_t init) {
  unsigned char bytes[64];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&message, SANDWIRE_STARTED_RUN, run);
  sandwire_protobuf_put_varint(&message, SANDWIRE_STARTED_PID, signed_varint(sandboxee));
  sandwire_protobuf_put_varint(&message, SANDWIRE_STARTED_INIT_PID, signed_varint(init));
  send_event_by(send, kind, &message);
}

void events_send_started(uint64_t run, pid_t sandboxee, pid_t init) {
  send_moment(control_send_event, SANDWIRE_EVENT_STARTED, run, sandboxee, init);
}

void events_send_sandboxed(uint64_t run, pid_t sandboxee, pid_t init, bool awaited) {
  send_moment(awaited ? control_send_event : control_hold_event, SANDWIRE_EVENT_SANDBOXED, run, sandboxee,
              init);
}

void events_send_refused(uint64_t run, const char *reason) {
  unsigned char bytes[256];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&message, SANDWIRE_REFUSED_RUN, run);
  sandwire_protobuf_put_bytes(&message, SANDWIRE_REFUSED_REASON, reason, strlen(reason));
  send_event(SANDWIRE_EVENT_REFUSED, &message);
}

static void put_usage(struct sandwire_protobuf_writer *message, const struct rusage *usage) {
  unsigned char bytes[128];
  struct sandwire_protobuf_writer inner;
  sandwire_protobuf_writer_init(&inner, bytes, sizeof(bytes));
  const uint64_t user = (uint64_t)usage->ru_utime.tv_sec * 1000000u + (uint64_t)usage->ru_utime.tv_usec;
  const uint64_t system = (uint64_t)usage->ru_stime.tv_sec * 1000000u + (uint64_t)usage->ru_stime.tv_usec;
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_USER_TIME_US, user);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_SYSTEM_TIME_US, system);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_MAX_RSS_BYTES,
                               (uint64_t)usage->ru_maxrss * 1024u);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_MINOR_FAULTS, (uint64_t)usage->ru_minflt);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_MAJOR_FAULTS, (uint64_t)usage->ru_majflt);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_VOLUNTARY_SWITCHES, (uint64_t)usage->ru_nvcsw);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_INVOLUNTARY_SWITCHES,
                               (uint64_t)usage->ru_nivcsw);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_BLOCKS_READ, (uint64_t)usage->ru_inblock);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_RESOURCE_USAGE_BLOCKS_WRITTEN, (uint64_t)usage->ru_oublock);
  sandwire_protobuf_put_bytes(message, SANDWIRE_ENDED_USAGE, inner.buffer, inner.size);
}

static void put_cgroup_usage(struct sandwire_protobuf_writer *message, const struct cgroup_usage *usage) {
  unsigned char bytes[96];
  struct sandwire_protobuf_writer inner;
  sandwire_protobuf_writer_init(&inner, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_MEMORY_PEAK_BYTES, usage->memory_peak_bytes);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_PROCESSES_PEAK, usage->processes_peak);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_CPU_US, usage->cpu_us);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_THROTTLED_US, usage->throttled_us);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_OOM_KILLS, usage->oom_kills);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_CGROUP_USAGE_REFUSED_PROCESSES, usage->refused_processes);
  sandwire_protobuf_put_bytes(message, SANDWIRE_ENDED_CGROUP, inner.buffer, inner.size);
}

static void put_call(struct sandwire_protobuf_writer *message, uint32_t field,
                     const struct violation *violation, const struct argument_memory arguments[6]) {
  unsigned char bytes[EVENT_SIZE];
  struct sandwire_protobuf_writer inner;
  sandwire_protobuf_writer_init(&inner, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_ARCH, violation->data.arch);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_SYSCALL, signed_varint(violation->data.nr));
  for (int i = 0; i < 6; i++) {
    sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_ARGS, violation->data.args[i]);
  }
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_INSTRUCTION_POINTER,
                               violation->data.instruction_pointer);
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_PID, signed_varint(violation->pid));
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_TID, signed_varint(violation->tid));
  sandwire_protobuf_put_bytes(&inner, SANDWIRE_VIOLATION_PROGRAM, violation->program,
                              strlen(violation->program));
  sandwire_protobuf_put_bytes(&inner, SANDWIRE_VIOLATION_COMM, violation->comm, strlen(violation->comm));
  for (uint32_t i = 0; i < 6; i++) {
    if (arguments[i].size == 0) {
      continue;
    }
    unsigned char memory[ARGUMENT_MEMORY_SIZE + 16];
    struct sandwire_protobuf_writer entry;
    sandwire_protobuf_writer_init(&entry, memory, sizeof(memory));
    sandwire_protobuf_put_varint(&entry, SANDWIRE_ARGUMENT_MEMORY_ARGUMENT, i);
    sandwire_protobuf_put_bytes(&entry, SANDWIRE_ARGUMENT_MEMORY_BYTES, arguments[i].bytes,
                                arguments[i].size);
    sandwire_protobuf_put_bytes(&inner, SANDWIRE_VIOLATION_MEMORY, memory, entry.size);
  }
  sandwire_protobuf_put_varint(&inner, SANDWIRE_VIOLATION_CAUSE, (uint64_t)violation->cause);
  sandwire_protobuf_put_bytes(message, field, inner.buffer, inner.size);
}

static void put_violation(struct sandwire_protobuf_writer *message, const struct violation *violation) {
  struct argument_memory arguments[6];
  for (int i = 0; i < 6; i++) {
    arguments[i] = (struct argument_memory){violation->memory_size[i], violation->memory[i]};
  }
  put_call(message, SANDWIRE_ENDED_VIOLATION, violation, arguments);
}

void events_send_asked(uint64_t run, uint64_t question, const struct violation *call,
                       const struct argument_memory memory[6]) {
  unsigned char bytes[EVENT_SIZE];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&message, SANDWIRE_ASKED_RUN, run);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ASKED_QUESTION, question);
  put_call(&message, SANDWIRE_ASKED_CALL, call, memory);
  send_event(SANDWIRE_EVENT_ASKED, &message);
}

void events_send_ended(uint64_t run, const struct run_end *end, const struct setup_report *report,
                       const struct violation *violation) {
  static unsigned char bytes[ENDED_SIZE];
  struct sandwire_protobuf_writer message;
  sandwire_protobuf_writer_init(&message, bytes, sizeof(bytes));
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_RUN, run);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_KIND, (uint64_t)end->kind);
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_EXIT_CODE, signed_varint(end->exit_code));
  sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_SIGNAL, signed_varint(end->signal));
  if (end->kind == SANDWIRE_SETUP_FAILED || end->kind == SANDWIRE_INTERNAL_FAILURE) {
    sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_SETUP_STEP, (uint64_t)report->step);
    sandwire_protobuf_put_varint(&message, SANDWIRE_ENDED_SETUP_ERRNO, (uint64_t)report->error);
    sandwire_protobuf_put_bytes(&message, SANDWIRE_ENDED_SETUP_DETAIL, report->detail,
                                strnlen(report->detail, SETUP_DETAIL_SIZE));
  }
  if (end->kind == SANDWIRE_VIOLATED) {
    put_violation(&message, violation);
  }
  put_usage(&message, &end->usage);
  if (end->cgroup.known) {
    put_cgroup_usage(&message, &end->cgroup);
  }
  if (end->stack_traces != NULL) {
    sandwire_protobuf_put_bytes(&message, SANDWIRE_ENDED_STACK_TRACES, end->stack_traces,
                                end->stack_traces_size);
  }
  if (end->stack_traces_missing != NULL) {
    sandwire_protobuf_put_bytes(&message, SANDWIRE_ENDED_STACK_TRACES_MISSING, end->stack_traces_missing,
                                strlen(end->stack_traces_missing));
  }
  send_event(SANDWIRE_EVENT_ENDED, &message);
}
