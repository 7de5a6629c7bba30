#include "start_request.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "loop/closing.h"
#include "protobuf.h"
#include "sandwire/wire.generated.h"
#include "unknown.h"

#define KNOWN_ROW(kind, name) {.resource = (kind), .words = (name)},
static const struct limit_request known_limits[MAX_LIMITS] = {SUPERVISOR_RLIMITS(KNOWN_ROW)};
#undef KNOWN_ROW

const struct limit_request *start_request_limit(const struct start_request *request,
                                                __rlimit_resource_t resource) {
  for (size_t i = 0; i < request->limit_count; i++) {
    if (request->limits[i].resource == resource) {
      return &request->limits[i];
    }
  }
  return NULL;
}

static char *copy_text(struct arena_chunk **arena, const struct sandwire_protobuf_field *field) {
  return arena_copy_text(arena, field->bytes, field->size);
}

static const uint8_t *copy_bytes(struct arena_chunk **arena, const struct sandwire_protobuf_field *field) {
  uint8_t *copy = arena_allocate(arena, field->size + 1);
  if (copy != NULL && field->size > 0) {
    memcpy(copy, field->bytes, field->size);
  }
  return copy;
}

static bool count_fields(const uint8_t *bytes, size_t size, size_t *args, size_t *envs) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, size);
  while (sandwire_protobuf_next(&reader, &field)) {
    *args += field.number == SANDWIRE_START_REQUEST_ARGS;
    *envs += field.number == SANDWIRE_START_REQUEST_ENVS;
  }
  return !reader.malformed;
}

static const char *parse_limit(struct start_request *request, const struct sandwire_protobuf_field *outer) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  uint64_t resource = 0, value = 0; /* what an absent field means */
  sandwire_protobuf_reader_init(&reader, outer->bytes, outer->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    switch (field.number) {
      case SANDWIRE_LIMIT_RESOURCE:
        resource = field.value;
        break;
      case SANDWIRE_LIMIT_VALUE:
        value = field.value;
        break;
      default:
        return unknown_field("Limit", field.number);
    }
  }
  if (reader.malformed) {
    return "a malformed limit";
  }
  size_t kind = 0;
  while (kind < MAX_LIMITS && (uint64_t)known_limits[kind].resource != resource) {
    kind++;
  }
  if (kind == MAX_LIMITS) {
    return unknown_value("Limit.resource", resource);
  }
  if (start_request_limit(request, known_limits[kind].resource) != NULL) {
    return "two limits of one kind";
  }
  struct limit_request *limit = &request->limits[request->limit_count++];
  *limit = known_limits[kind];
  limit->value = value;
  return NULL;
}

static const char *parse_cgroup(struct start_request *request, const struct sandwire_protobuf_field *outer) {
  struct cgroup_limits *limits = &request->cgroup;
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, outer->bytes, outer->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    switch (field.number) {
      case SANDWIRE_CGROUP_LIMITS_MEMORY_BYTES:
        limits->memory_bytes = field.value;
        break;
      case SANDWIRE_CGROUP_LIMITS_PROCESSES:
        limits->processes = field.value;
        break;
      case SANDWIRE_CGROUP_LIMITS_CPU_US:
        limits->cpu_us = field.value;
        break;
      case SANDWIRE_CGROUP_LIMITS_PARENT:
        limits->parent = copy_text(&request->arena, &field);
        if (limits->parent == NULL) {
          return "a cgroup that holds a NUL";
        }
        break;
      default:
        return unknown_field("CgroupLimits", field.number);
    }
  }
  limits->asked = limits->memory_bytes > 0 || limits->processes > 0 || limits->cpu_us > 0;
  return reader.malformed ? "malformed cgroup limits" : NULL;
}

static const char *add_target(struct start_request *request, uint64_t value) {
  /* A negative int32 travels as a 64-bit varint; none is allowed here. The launch needs 1021 and 1022. */
  if (value > SANDWIRE_COMMS_FD || value == SANDWIRE_RENDEZVOUS_FD || value == SANDWIRE_EXEC_FD) {
    return "an fd target that is not 0 to 1020 or 1023";
  }
  for (size_t i = 1; i < request->fd_count; i++) {
    if (request->targets[i] == (int)value) {
      return "two fds for one target";
    }
  }
  if (request->fd_count == SANDWIRE_MAX_LAUNCH_FDS) {
    return "too many fds";
  }
  request->targets[request->fd_count++] = (int)value;
  return NULL;
}

static const char *add_null_targets(struct start_request *request) {
  const size_t given = request->fd_count;
  for (int fd = 0; fd <= 2; fd++) {
    size_t i = 1;
    while (i < given && request->targets[i] != fd) {
      i++;
    }
    if (i == given) {
      const char *reason = add_target(request, (uint64_t)fd);
      if (reason != NULL) {
        return reason;
      }
      request->null_count++;
    }
  }
  return NULL;
}

size_t start_request_given(const struct start_request *request) {
  return request->fd_count - request->null_count;
}

int start_request_open_null(struct start_request *request) {
  for (size_t i = start_request_given(request); i < request->fd_count; i++) {
    if (request->fds[i] >= 0) {
      continue; /* from an attempt with another sandbox */
    }
    request->fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (request->fds[i] < 0) {
      return -1;
    }
  }
  return 0;
}

static const char *copy_policy(struct start_request *request, const struct sandwire_protobuf_field *field) {
  if (field->size % sizeof(struct sock_filter) != 0 ||
      field->size / sizeof(struct sock_filter) > BPF_MAXINSNS) {
    return "a policy that is not 1 to 4096 instructions";
  }
  request->policy = arena_allocate(&request->arena, field->size);
  if (request->policy == NULL) {
    return "no memory";
  }
  memcpy(request->policy, field->bytes, field->size);
  request->policy_count = field->size / sizeof(struct sock_filter);
  return NULL;
}

static const char *parse_stack_traces(struct start_request *request,
                                      const struct sandwire_protobuf_field *message) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  bool *const switches[] = {
      [SANDWIRE_STACK_TRACE_SWITCHES_ON_VIOLATION] = &request->stack_traces.on_violation,
      [SANDWIRE_STACK_TRACE_SWITCHES_ON_SIGNAL] = &request->stack_traces.on_signal,
      [SANDWIRE_STACK_TRACE_SWITCHES_ON_TIMEOUT] = &request->stack_traces.on_timeout,
      [SANDWIRE_STACK_TRACE_SWITCHES_ON_KILL] = &request->stack_traces.on_kill,
      [SANDWIRE_STACK_TRACE_SWITCHES_ON_EXIT] = &request->stack_traces.on_exit,
      [SANDWIRE_STACK_TRACE_SWITCHES_ALL_THREADS] = &request->stack_traces.all_threads,
  };
  sandwire_protobuf_reader_init(&reader, message->bytes, message->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    if (field.number >= sizeof(switches) / sizeof(switches[0]) || switches[field.number] == NULL) {
      return unknown_field("StackTraceSwitches", field.number);
    }
    *switches[field.number] = field.value != 0;
  }
  return reader.malformed ? "malformed stack trace switches" : NULL;
}

static const char *parse_field(struct start_request *request, const struct sandwire_protobuf_field *field,
                               size_t *args, size_t *envs) {
  switch (field->number) {
    case SANDWIRE_START_REQUEST_RUN:
      request->run = field->value;
      return NULL;
    case SANDWIRE_START_REQUEST_MODE:
      request->mode = (int)field->value;
      return NULL;
    case SANDWIRE_START_REQUEST_ARGS:
      request->args[*args] = copy_text(&request->arena, field);
      return request->args[(*args)++] == NULL ? "an argument that holds a NUL" : NULL;
    case SANDWIRE_START_REQUEST_ENVS:
      request->envs[*envs] = copy_text(&request->arena, field);
      return request->envs[(*envs)++] == NULL ? "an environment entry that holds a NUL" : NULL;
    case SANDWIRE_START_REQUEST_CWD:
      request->cwd = copy_text(&request->arena, field);
      return request->cwd == NULL ? "a cwd that holds a NUL" : NULL;
    case SANDWIRE_START_REQUEST_PROGRAM:
      request->program = copy_text(&request->arena, field);
      return request->program == NULL ? "a program path that holds a NUL" : NULL;
    case SANDWIRE_START_REQUEST_PROGRAM_INSIDE:
      request->program_inside = copy_text(&request->arena, field);
      return request->program_inside == NULL ? "a program path that holds a NUL" : NULL;
    case SANDWIRE_START_REQUEST_POLICY_BYTES:
      return copy_policy(request, field);
    case SANDWIRE_START_REQUEST_ALLOW_SPECULATION:
      request->allow_speculation = field->value != 0;
      return NULL;
    case SANDWIRE_START_REQUEST_LANDLOCK_FENCE:
      request->landlock_fence = field->value != 0;
      return NULL;
    case SANDWIRE_START_REQUEST_FORBID_IO_URING:
      request->forbid_io_uring = field->value != 0;
      return NULL;
    case SANDWIRE_START_REQUEST_ASKS_HOST:
      request->asks_host = field->value != 0;
      return NULL;
    case SANDWIRE_START_REQUEST_ANSWER_TIMEOUT_MS:
      request->answer_timeout_ms = field->value;
      return NULL;
    case SANDWIRE_START_REQUEST_SANDBOX:
      request->sandbox = copy_bytes(&request->arena, field);
      request->sandbox_size = field->size;
      return request->sandbox == NULL ? "no memory" : NULL;
    case SANDWIRE_START_REQUEST_LIMITS:
      return parse_limit(request, field);
    case SANDWIRE_START_REQUEST_CGROUP:
      return parse_cgroup(request, field);
    case SANDWIRE_START_REQUEST_SPARES:
      request->prewarmed = field->value > INT_MAX ? INT_MAX : (int)field->value;
      return NULL;
    case SANDWIRE_START_REQUEST_STACK_TRACES:
      return parse_stack_traces(request, field);
    case SANDWIRE_START_REQUEST_WALLTIME_MS:
      request->walltime_ms = field->value;
      return NULL;
    case SANDWIRE_START_REQUEST_START_UNAWAITED:
      request->start_unawaited = field->value != 0;
      return NULL;
    case SANDWIRE_START_REQUEST_FD_TARGETS:
      return field->wire_type == 0 ? add_target(request, field->value) : "malformed fd targets";
    default:
      return unknown_field("StartRequest", field->number);
  }
}

static int compare_ints(const void *a, const void *b) {
  return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

static const char *parse(struct start_request *request, const uint8_t *bytes, size_t size) {
  size_t args = 0, envs = 0;
  if (!count_fields(bytes, size, &args, &envs)) {
    return "a malformed StartRequest";
  }
  request->args = arena_allocate(&request->arena, (args + 1) * sizeof(char *));
  request->envs = arena_allocate(&request->arena, (envs + 1) * sizeof(char *));
  request->fds = arena_allocate(&request->arena, SANDWIRE_MAX_LAUNCH_FDS * sizeof(int));
  request->targets = arena_allocate(&request->arena, SANDWIRE_MAX_LAUNCH_FDS * sizeof(int));
  request->sorted_targets = arena_allocate(&request->arena, (SANDWIRE_MAX_LAUNCH_FDS + 2) * sizeof(int));
  if (request->args == NULL || request->envs == NULL || request->fds == NULL || request->targets == NULL ||
      request->sorted_targets == NULL) {
    return "no memory";
  }
  request->cwd = request->program = request->program_inside = request->cgroup.parent = "";
  request->sandbox = (const uint8_t *)"";
  request->prewarmed = -1;
  request->fd_count = 1;
  request->targets[0] = SANDWIRE_EXEC_FD;

  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, size);
  size_t next_arg = 0, next_env = 0;
  while (sandwire_protobuf_next(&reader, &field)) {
    const char *reason = parse_field(request, &field, &next_arg, &next_env);
    if (reason != NULL) {
      return reason;
    }
  }
  if (request->mode != SANDWIRE_SANDBOXED_BEFORE_EXEC && request->mode != SANDWIRE_SANDBOX_ME_HERE &&
      request->mode != SANDWIRE_FORK_SERVER && request->mode != SANDWIRE_FORKED) {
    return unknown_value("LaunchMode", (uint64_t)request->mode);
  }
  if ((request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC || request->asks_host) && request->policy_count == 0) {
    return "no policy"; /* fail closed: never an exec without a filter */
  }
  const char *reason = add_null_targets(request);
  if (reason != NULL) {
    return reason;
  }
  for (size_t i = 0; i < request->fd_count; i++) {
    request->fds[i] = -1;
    request->sorted_targets[request->sorted_count++] = request->targets[i];
  }
  if (request->mode != SANDWIRE_FORK_SERVER) {
    request->sorted_targets[request->sorted_count++] = SANDWIRE_RENDEZVOUS_FD;
  }
  qsort(request->sorted_targets, request->sorted_count, sizeof(int), compare_ints);
  return NULL;
}

struct start_request *start_request_parse(const uint8_t *bytes, size_t size, uint64_t *run,
                                          const char **reason) {
  struct arena_chunk *arena = NULL;
  struct start_request *request = arena_allocate(&arena, sizeof(*request));
  if (request == NULL) {
    *reason = "no memory";
    return NULL;
  }
  request->arena = arena;
  uint8_t *encoded = arena_allocate(&request->arena, size + 1);
  if (encoded != NULL) {
    memcpy(encoded, bytes, size);
  }
  request->encoded = encoded;
  request->encoded_size = size;
  *reason = encoded == NULL ? "no memory" : parse(request, bytes, size);
  *run = request->run;
  if (*reason != NULL) {
    request->fd_count = 0; /* none received yet */
    start_request_destroy(request);
    return NULL;
  }
  return request;
}

void start_request_close_fds(struct start_request *request) {
  close_foreign(request->fds, request->fd_count);
  for (size_t i = 0; i < request->fd_count; i++) {
    request->fds[i] = -1;
  }
}

void start_request_destroy(struct start_request *request) {
  if (request == NULL) {
    return;
  }
  start_request_close_fds(request);
  arena_free(request->arena); /* the request itself lies in it */
}
