/* A SandboxDescription as the stage-1 process and init use it: parsed and checked before anything is forked.
 */
#ifndef SUPERVISOR_SANDBOX_DESCRIPTION_H
#define SUPERVISOR_SANDBOX_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mount_request {
  int kind; /* enum sandwire_mount_kind */
  const char *inside;
  const char *outside;
  bool writable;
  bool executable;
  uint64_t size_bytes;
  int source; /* the cloned mount tree, in the children; -1: none */
};

struct sandbox_description {
  struct arena_chunk *arena;
  /* The message itself: two descriptions are the same if these are. */
  const uint8_t *bytes;
  size_t size;
  const char *hostname;
  int network; /* enum sandwire_network */
  bool root_writable;
  bool landlock_only;
  struct mount_request *mounts;
  size_t mount_count;
  bool outside_uid_set, outside_gid_set;
  uid_t outside_uid;
  gid_t outside_gid;
};

/* NULL if the bytes are no good; *reason (static text) then says why. */
struct sandbox_description *sandbox_description_parse(const uint8_t *bytes, size_t size, const char **reason);
void sandbox_description_destroy(struct sandbox_description *description);

#endif
