/* sandwire_client_sandbox_me_here(): the handshake with the host, in both of its forms: versioned (from
 * V20260702 on one protobuf message contains the configuration) and legacy. The order of messages is
 * sandbox2's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client_private.h"
#include "filter.h"
#include "protobuf.h"
#include "transport.h"

enum { MAX_MAPPINGS = 1024, MAX_VERSION_SIZE = 128, IDENTITY_SIZE = 64, ANY_NUMBER = -1 };

#define TEXT_OF(number) #number
#define VERSION_TEXT(number) "V" TEXT_OF(number)
static const char plain_version[] = VERSION_TEXT(SANDWIRE_VERSION);
const char sandwire_own_version[] = SANDWIRE_VERSION_IDENTITY VERSION_TEXT(SANDWIRE_VERSION);

/* The policy on its way from the host to the kernel; on the stack, so that nothing has to be freed
 * afterwards. */
struct policy {
  struct sock_filter program[SANDWIRE_FILTER_MAX_INSTRUCTIONS];
  size_t count;
};

static enum sandwire_error fail(struct sandwire_client *client, enum sandwire_error error,
                                const char *detail) {
  client->comms->operation = "sandbox me here";
  return sandwire_transport_fail(client->comms, error, detail);
}

static enum sandwire_error store_policy(struct sandwire_client *client, struct policy *policy,
                                        const void *bytes, size_t size) {
  if (size == 0 || size % sizeof policy->program[0] != 0) {
    return fail(client, SANDWIRE_ERROR_BAD_LENGTH, "the policy is not a list of BPF instructions");
  }
  if (size > sizeof policy->program) {
    return fail(client, SANDWIRE_ERROR_TOO_LARGE, "the policy is longer than the kernel accepts");
  }
  memcpy(policy->program, bytes, size);
  policy->count = size / sizeof policy->program[0];
  return SANDWIRE_OK;
}

/* ---- Mapping fds ---- */

/* Moves an fd of ours that has the number which the host wants to use. */
static enum sandwire_error make_way(struct sandwire_client *client, int wanted) {
  struct sandwire_comms *comms = client->comms;
  if (wanted == client->rendezvous_fd) {
    return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "an fd is to be mapped on the rendezvous socket");
  }
  if (wanted == comms->fd) {
    int moved = fcntl(comms->fd, F_DUPFD_CLOEXEC, 3);
    if (moved < 0) {
      return fail(client, SANDWIRE_ERROR_SYSTEM, "moving comms out of the way of a mapped fd");
    }
    comms->fd = moved; /* the old number is replaced by dup2() */
    return SANDWIRE_OK;
  }
  for (size_t i = 0; i < client->mapped_count; i++) {
    struct sandwire_mapped_fd *mapped = &client->mapped[i];
    if (mapped->fd != wanted) {
      continue;
    }
    if (mapped->is_fixed) {
      return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "two fds are to be mapped to one number");
    }
    int moved = fcntl(mapped->fd, F_DUPFD_CLOEXEC, 3);
    if (moved < 0) {
      return fail(client, SANDWIRE_ERROR_SYSTEM, "moving a mapped fd out of the way of another");
    }
    mapped->fd = moved;
    return SANDWIRE_OK;
  }
  return SANDWIRE_OK;
}

/* Takes ownership of fd in every case. An fd whose number the host chose survives execve, like one that was
 * given before the start. */
static enum sandwire_error map_fd(struct sandwire_client *client, int fd, int32_t requested, const char *name,
                                  size_t name_size) {
  enum sandwire_error error = SANDWIRE_OK;
  if (requested < ANY_NUMBER || (name_size > 0 && sandwire_client_find(client, name, name_size))) {
    error =
        fail(client, SANDWIRE_ERROR_INVALID_VALUE, "an fd mapping with a negative number or a name twice");
  } else if (requested == fd) {
    if (fcntl(fd, F_SETFD, 0) != 0) {
      error = fail(client, SANDWIRE_ERROR_SYSTEM, "mapping an fd");
    }
  } else if (requested != ANY_NUMBER) {
    error = make_way(client, requested);
    if (error == SANDWIRE_OK && dup2(fd, requested) < 0) {
      error = fail(client, SANDWIRE_ERROR_SYSTEM, "mapping an fd");
    }
    if (error == SANDWIRE_OK) {
      (void)close(fd);
      fd = requested;
    }
  }
  if (error == SANDWIRE_OK &&
      sandwire_client_add(client, name, name_size, fd, requested != ANY_NUMBER) != 0) {
    error = fail(client, SANDWIRE_ERROR_SYSTEM, "no memory for an fd mapping");
  }
  if (error) {
    (void)close(fd);
  }
  return error;
}

/* ---- The working directory ---- */

static enum sandwire_error set_cwd(struct sandwire_client *client, const char *requested) {
  char current[PATH_MAX];
  /* The syscall itself, because it returns "(unreachable)/…" if the inherited directory is outside our root.
   * From such a directory everything outside could be reached by a relative path. */
  long size = syscall(SYS_getcwd, current, sizeof current);
  if ((size <= 0 || current[0] != '/') && chdir("/") != 0) {
    return fail(client, SANDWIRE_ERROR_SYSTEM, "leaving a working directory outside the sandbox");
  }
  if (*requested && chdir(requested) != 0) {
    /* sandbox2 asks for the directory in which its host runs unless configured otherwise, so it is not meant
     * seriously. */
    if (client->rendezvous_fd >= 0 || chdir("/") != 0) {
      return fail(client, SANDWIRE_ERROR_SYSTEM, "changing to the requested working directory");
    }
  }
  return SANDWIRE_OK;
}

/* ---- Versions ---- */

static bool is_identity(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) {
      return false;
    }
  }
  return size == IDENTITY_SIZE;
}

/* Parses "V<n>", "<sha256>" (version 0) or "<sha256>V<n>"; -1 for anything else. */
static long parse_version(const char *text, size_t size) {
  const char *v = memchr(text, 'V', size);
  size_t identity_size = v ? (size_t)(v - text) : size;
  if (identity_size != 0 && !is_identity(text, identity_size)) {
    return -1;
  }
  if (!v) {
    return identity_size == 0 ? -1 : 0;
  }
  long number = 0;
  const char *end = text + size;
  for (const char *at = v + 1; at < end; at++) {
    if (*at < '0' || *at > '9' || number > 99999999) {
      return -1;
    }
    number = number * 10 + (*at - '0');
  }
  return number > 0 ? number : -1;
}

/* *version becomes 0 if the host sends none, as hosts did before there were versions. */
static enum sandwire_error exchange_versions(struct sandwire_client *client, long *version) {
  struct sandwire_comms *comms = client->comms;
  const char *own = client->rendezvous_fd >= 0 ? sandwire_own_version : plain_version;
  enum sandwire_error error = sandwire_comms_send_tlv(comms, SANDWIRE_TAG_VERSION, own, strlen(own));
  uint32_t tag = 0;
  if (error == SANDWIRE_OK) {
    error = sandwire_comms_peek_tag(comms, &tag);
  }
  if (error) {
    return error;
  }
  *version = 0;
  if (tag == SANDWIRE_TAG_UINT32) {
    return SANDWIRE_OK;
  }
  char text[MAX_VERSION_SIZE];
  size_t size = 0;
  error = sandwire_comms_recv_tlv(comms, SANDWIRE_TAG_VERSION, text, sizeof text, &size);
  if (error) {
    return error;
  }
  *version = parse_version(text, size);
  return *version < 0 ? fail(client, SANDWIRE_ERROR_INVALID_VALUE, "the host's version is malformed")
                      : SANDWIRE_OK;
}

/* ---- The configuration, in its two forms ---- */

static bool parse_mapping(const struct sandwire_protobuf_field *field, int32_t *requested, const char **name,
                          size_t *name_size) {
  *requested = ANY_NUMBER;
  *name = "";
  *name_size = 0;
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field part;
  sandwire_protobuf_reader_init(&reader, field->bytes, field->size);
  while (sandwire_protobuf_next(&reader, &part)) {
    if (part.number == SANDWIRE_FD_MAPPING_REQUESTED_FD && part.wire_type == 0) {
      *requested = (int32_t)(uint32_t)part.value;
    } else if (part.number == SANDWIRE_FD_MAPPING_NAME && part.wire_type == 2) {
      *name = (const char *)part.bytes;
      *name_size = part.size;
    }
  }
  return !reader.malformed;
}

static enum sandwire_error apply_config(struct sandwire_client *client, const uint8_t *bytes, size_t size,
                                        struct policy *policy) {
  char cwd[PATH_MAX] = "";
  size_t mappings = 0;
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, size);
  while (sandwire_protobuf_next(&reader, &field)) {
    enum sandwire_error error = SANDWIRE_OK;
    if (field.wire_type != 2) {
      continue; /* no known field has another type */
    }
    if (field.number == SANDWIRE_SANDBOXING_CONFIG_CWD) {
      if (field.size >= sizeof cwd || memchr(field.bytes, '\0', field.size)) {
        return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "the requested working directory is not a path");
      }
      memcpy(cwd, field.bytes, field.size);
      cwd[field.size] = '\0';
    } else if (field.number == SANDWIRE_SANDBOXING_CONFIG_POLICY_BYTES) {
      error = store_policy(client, policy, field.bytes, field.size);
    } else if (field.number == SANDWIRE_SANDBOXING_CONFIG_FD_MAPPINGS) {
      int32_t requested;
      const char *name;
      size_t name_size;
      if (++mappings > MAX_MAPPINGS || !parse_mapping(&field, &requested, &name, &name_size)) {
        return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "malformed or too many fd mappings");
      }
      int fd = -1;
      error = sandwire_comms_recv_fd(client->comms, &fd); /* they come in the order of the mappings */
      if (error == SANDWIRE_OK) {
        error = map_fd(client, fd, requested, name, name_size);
      }
    }
    if (error) {
      return error;
    }
  }
  if (reader.malformed) {
    return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "the host's configuration is malformed");
  }
  return set_cwd(client, cwd);
}

static enum sandwire_error receive_config(struct sandwire_client *client, struct policy *policy) {
  void *bytes = NULL;
  size_t size = 0;
  enum sandwire_error error = sandwire_comms_recv_protobuf_alloc(client->comms, &bytes, &size);
  if (error == SANDWIRE_OK) {
    error = apply_config(client, bytes, size, policy);
    free(bytes);
  }
  return error;
}

static enum sandwire_error receive_legacy_fds_and_cwd(struct sandwire_client *client) {
  struct sandwire_comms *comms = client->comms;
  uint32_t count = 0;
  enum sandwire_error error = sandwire_comms_recv_uint32(comms, &count);
  if (error == SANDWIRE_OK && count > MAX_MAPPINGS) {
    return fail(client, SANDWIRE_ERROR_INVALID_VALUE, "too many fd mappings");
  }
  for (uint32_t i = 0; error == SANDWIRE_OK && i < count; i++) {
    int32_t requested = ANY_NUMBER;
    int fd = -1;
    char *name = NULL;
    size_t name_size = 0;
    error = sandwire_comms_recv_int32(comms, &requested);
    if (error == SANDWIRE_OK) {
      error = sandwire_comms_recv_fd(comms, &fd);
    }
    if (error == SANDWIRE_OK) {
      error = sandwire_comms_recv_string_alloc(comms, &name, &name_size);
      if (error) {
        (void)close(fd);
      }
    }
    if (error == SANDWIRE_OK) {
      error = map_fd(client, fd, requested, name, name_size);
      free(name);
    }
  }
  char cwd[PATH_MAX];
  if (error == SANDWIRE_OK) {
    error = sandwire_comms_recv_string(comms, cwd, sizeof cwd, NULL);
  }
  return error ? error : set_cwd(client, cwd);
}

static enum sandwire_error receive_legacy_policy(struct sandwire_client *client, struct policy *policy) {
  void *bytes = NULL;
  size_t size = 0;
  enum sandwire_error error = sandwire_comms_recv_bytes_alloc(client->comms, &bytes, &size);
  if (error == SANDWIRE_OK) {
    error = store_policy(client, policy, bytes, size);
    free(bytes);
  }
  return error;
}

static enum sandwire_error refuse_upgrade(struct sandwire_client *client) {
  uint32_t tag = 0;
  enum sandwire_error error = sandwire_comms_peek_tag(client->comms, &tag);
  if (error == SANDWIRE_OK && tag == SANDWIRE_TAG_COMMS_UPGRADE) {
    return fail(client, SANDWIRE_ERROR_UNSUPPORTED, "the host wants comms in shared memory");
  }
  size_t size;
  return error ? error
               : sandwire_comms_recv_tlv(client->comms, SANDWIRE_TAG_COMMS_NO_UPGRADE, NULL, 0, &size);
}

/* ---- Becoming sandboxed ---- */

/* A foreign monitor attaches with ptrace or reads our memory. Best effort, as in sandbox2. */
static void let_peer_trace(struct sandwire_client *client) {
  struct sandwire_credentials peer;
  (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  if (sandwire_comms_peer_credentials(client->comms, &peer) == SANDWIRE_OK && peer.pid > 0) {
    (void)prctl(PR_SET_PTRACER, (unsigned long)peer.pid, 0, 0, 0);
  }
}

static void install_or_die(struct sandwire_client *client, const struct policy *policy, uint32_t go) {
  bool allow_speculation = go & SANDWIRE_ALLOW_SPECULATION_BIT;
  enum sandwire_filter_step step;
  int failure;
  if (client->rendezvous_fd >= 0) {
    failure = sandwire_filter_install_announced(client->rendezvous_fd, policy->program, policy->count,
                                                allow_speculation, &step);
    if (failure >= 0) {
      sandwire_filter_close_listener(failure);
      failure = 0;
    }
  } else if ((go & SANDWIRE_GO_MASK) == SANDWIRE_GO_UNOTIFY) {
    failure = sandwire_filter_install_with_helper(client->comms, policy->program, policy->count,
                                                  allow_speculation, &step);
    client->comms->uses_read_write = true;
  } else {
    failure = sandwire_filter_install_plain(policy->program, policy->count, allow_speculation, &step);
    client->comms->uses_read_write = true;
  }
  if (failure) {
    sandwire_filter_die();
  }
}

static enum sandwire_error become_sandboxed(struct sandwire_client *client, const struct policy *policy) {
  enum sandwire_filter_step step;
  /* Everything that can fail without the filter is tried while an error can still be returned. */
  int failure = sandwire_filter_prepare(true, &step);
  if (failure) {
    errno = -failure;
    return fail(client, SANDWIRE_ERROR_SYSTEM, sandwire_filter_step_name(step));
  }
  if (client->rendezvous_fd < 0) {
    let_peer_trace(client);
  }
  enum sandwire_error error = sandwire_comms_send_uint32(client->comms, SANDWIRE_CLIENT_READY);
  if (error) {
    return error;
  }
  /* The point of no return: the host now counts on the filter. */
  uint32_t go = 0;
  error = sandwire_comms_recv_uint32(client->comms, &go);
  uint32_t monitor = go & SANDWIRE_GO_MASK;
  if (error || (monitor != SANDWIRE_GO_PTRACE && monitor != SANDWIRE_GO_UNOTIFY) ||
      (go & ~(SANDWIRE_GO_MASK | SANDWIRE_ALLOW_SPECULATION_BIT))) {
    sandwire_filter_die();
  }
  install_or_die(client, policy, go);
  sandwire_client_note_sandboxed(client);
  return SANDWIRE_OK;
}

enum sandwire_error sandwire_client_sandbox_me_here(struct sandwire_client *client) {
  if (!client->comms) {
    return SANDWIRE_ERROR_INVALID_VALUE;
  }
  if (sandwire_client_is_process_sandboxed()) {
    return fail(client, SANDWIRE_ERROR_UNSUPPORTED, "this process has its policy already");
  }
  struct policy policy;
  policy.count = 0;
  long version = 0;
  enum sandwire_error error = exchange_versions(client, &version);
  bool is_legacy = version < SANDWIRE_VERSION;
  if (error == SANDWIRE_OK) {
    error = is_legacy ? receive_legacy_fds_and_cwd(client) : receive_config(client, &policy);
  }
  if (error == SANDWIRE_OK) {
    error = refuse_upgrade(client);
  }
  if (error == SANDWIRE_OK && is_legacy) {
    error = receive_legacy_policy(client, &policy);
  }
  if (error == SANDWIRE_OK && policy.count == 0) {
    error = fail(client, SANDWIRE_ERROR_INVALID_VALUE, "the host sent no policy");
  }
  return error ? error : become_sandboxed(client, &policy);
}
