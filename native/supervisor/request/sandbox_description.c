#include "sandbox_description.h"

#include <string.h>

#include "arena.h"
#include "protobuf.h"
#include "sandwire/wire.generated.h"
#include "unknown.h"

static const char *parse_mount(struct sandbox_description *description,
                               const struct sandwire_protobuf_field *outer) {
  struct mount_request *mount = &description->mounts[description->mount_count];
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  mount->source = -1;
  mount->inside = mount->outside = "";
  sandwire_protobuf_reader_init(&reader, outer->bytes, outer->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    switch (field.number) {
      case SANDWIRE_MOUNT_KIND:
        mount->kind = (int)field.value;
        break;
      case SANDWIRE_MOUNT_INSIDE:
        mount->inside = arena_copy_text(&description->arena, field.bytes, field.size);
        break;
      case SANDWIRE_MOUNT_OUTSIDE:
        mount->outside = arena_copy_text(&description->arena, field.bytes, field.size);
        break;
      case SANDWIRE_MOUNT_WRITABLE:
        mount->writable = field.value != 0;
        break;
      case SANDWIRE_MOUNT_EXECUTABLE:
        mount->executable = field.value != 0;
        break;
      case SANDWIRE_MOUNT_SIZE_BYTES:
        mount->size_bytes = field.value;
        break;
      default:
        return unknown_field("Mount", field.number);
    }
    if (mount->inside == NULL || mount->outside == NULL) {
      return "a mount path that is too long or holds a NUL";
    }
  }
  if (mount->kind < SANDWIRE_MOUNT_KIND_UNSPECIFIED || mount->kind > SANDWIRE_MOUNT_EMPTY_DIRECTORY) {
    return unknown_value("MountKind", (uint64_t)mount->kind);
  }
  if (reader.malformed || mount->kind == SANDWIRE_MOUNT_KIND_UNSPECIFIED || mount->inside[0] != '/' ||
      mount->inside[1] == '\0') {
    return "a malformed mount";
  }
  description->mount_count++;
  return NULL;
}

static const char *parse_field(struct sandbox_description *description,
                               const struct sandwire_protobuf_field *field) {
  switch (field->number) {
    case SANDWIRE_SANDBOX_DESCRIPTION_MOUNTS:
      return parse_mount(description, field);
    case SANDWIRE_SANDBOX_DESCRIPTION_HOSTNAME:
      description->hostname = arena_copy_text(&description->arena, field->bytes, field->size);
      return description->hostname == NULL ? "a hostname that holds a NUL" : NULL;
    case SANDWIRE_SANDBOX_DESCRIPTION_NETWORK:
      description->network = (int)field->value;
      return field->value <= SANDWIRE_NETWORK_SHARED ? NULL : unknown_value("Network", field->value);
    case SANDWIRE_SANDBOX_DESCRIPTION_ROOT_WRITABLE:
      description->root_writable = field->value != 0;
      return NULL;
    case SANDWIRE_SANDBOX_DESCRIPTION_LANDLOCK_ONLY:
      description->landlock_only = field->value != 0;
      return NULL;
    case SANDWIRE_SANDBOX_DESCRIPTION_OUTSIDE_UID:
      description->outside_uid_set = true;
      description->outside_uid = (uid_t)field->value;
      return NULL;
    case SANDWIRE_SANDBOX_DESCRIPTION_OUTSIDE_GID:
      description->outside_gid_set = true;
      description->outside_gid = (gid_t)field->value;
      return NULL;
    default:
      return unknown_field("SandboxDescription", field->number);
  }
}

static const char *parse(struct sandbox_description *description) {
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  size_t mounts = 0;
  sandwire_protobuf_reader_init(&reader, description->bytes, description->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    mounts += field.number == SANDWIRE_SANDBOX_DESCRIPTION_MOUNTS;
  }
  if (reader.malformed || mounts > SANDWIRE_MAX_MOUNTS) {
    return reader.malformed ? "a malformed SandboxDescription" : "more mounts than can be";
  }
  description->hostname = "";
  description->mounts = arena_allocate(&description->arena, (mounts + 1) * sizeof(struct mount_request));
  if (description->mounts == NULL) {
    return "no memory";
  }
  sandwire_protobuf_reader_init(&reader, description->bytes, description->size);
  while (sandwire_protobuf_next(&reader, &field)) {
    const char *reason = parse_field(description, &field);
    if (reason != NULL) {
      return reason;
    }
  }
  return NULL;
}

struct sandbox_description *sandbox_description_parse(const uint8_t *bytes, size_t size,
                                                      const char **reason) {
  struct arena_chunk *arena = NULL;
  struct sandbox_description *description = arena_allocate(&arena, sizeof(*description));
  uint8_t *copy = description == NULL ? NULL : arena_allocate(&arena, size + 1);
  if (copy == NULL) {
    arena_free(arena);
    *reason = "no memory";
    return NULL;
  }
  if (size > 0) {
    memcpy(copy, bytes, size);
  }
  description->arena = arena;
  description->bytes = copy;
  description->size = size;
  *reason = parse(description);
  if (*reason != NULL) {
    sandbox_description_destroy(description);
    return NULL;
  }
  return description;
}

void sandbox_description_destroy(struct sandbox_description *description) {
  if (description != NULL) {
    arena_free(description->arena); /* the description itself lies in it */
  }
}
