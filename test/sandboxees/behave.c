/* behave fork|me-here: a fork server, or a program that sandboxes itself. The sandboxee receives a command line, as bytes
 * with a NUL behind each word, and does what the sandboxee of that name does. */
#include <sandwire/sandwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 32 };

#define BEHAVIOURS(X)                                                                                                \
  X(exit_with) X(die_by) X(spin) X(wait_forever) X(make_syscall) X(inspect) X(exhaust) X(leave_behind) X(reach_out) \
  X(echo)
#define DECLARE(name) int name##_main(int argc, char **argv);
BEHAVIOURS(DECLARE)

#define LIST(name) {#name, name##_main},
static const struct {
  const char *name;
  int (*main)(int argc, char **argv);
} behaviours[] = {BEHAVIOURS(LIST)};

static int behave(int argc, char **argv) {
  for (size_t i = 0; i < sizeof behaviours / sizeof behaviours[0]; i++) {
    if (argc > 0 && strcmp(argv[0], behaviours[i].name) == 0) {
      return behaviours[i].main(argc, argv);
    }
  }
  return 119;
}

static int fork_until_child(struct sandwire_comms *comms) {
  struct sandwire_forking_client *client = sandwire_forking_client_create(comms);
  enum sandwire_error error = client == NULL ? SANDWIRE_ERROR_SYSTEM : sandwire_forking_client_enter_fork_loop(client);
  if (error != SANDWIRE_OK) {
    fprintf(stderr, "behave: %s\n", sandwire_comms_error_text(comms));
    exit(error == SANDWIRE_ERROR_CLOSED ? 0 : 10 + (int)error);
  }
  return 0;
}

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  if (comms == NULL || argc != 2) {
    return 116;
  }
  if (strcmp(argv[1], "fork") == 0) {
    fork_until_child(comms);
  }
  if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    fprintf(stderr, "behave: %s\n", sandwire_comms_error_text(comms));
    return 117;
  }
  static char words[4096];
  char *line[MAX_WORDS + 1] = {NULL};
  size_t size = 0;
  if (sandwire_comms_recv_bytes(comms, words, sizeof words, &size) != SANDWIRE_OK) {
    return 118;
  }
  /* What the host sends next is for the behaviour, whose comms must not find it read ahead by these. */
  if (sandwire_comms_send_barrier(comms) != SANDWIRE_OK) {
    return 118;
  }
  int count = 0;
  for (char *word = words; word < words + size && count < MAX_WORDS; word += strlen(word) + 1) {
    line[count++] = word;
  }
  return behave(count, line);
}
