/* behave fork [HOW]|me-here: a fork server, or a program that sandboxes itself. The sandboxee receives a
 * command line, as bytes with a NUL behind each word, and does what the sandboxee of that name does. HOW:
 *   before     the hook before each fork fails with EDOM
 *   after      the hook after each fork does
 *   hang       the hook before each fork never returns
 *   hooks      both work: the child gets 40 from the one and 2 from the other, and sends the sum
 *   thread     has a second thread
 *   threads    the same, and says that this is fine
 *   late       the hook before each fork maps memory that is shared and writable
 *   lowers     its child, or the program that sandboxes itself, lowers its limit of core files before that
 *   low        has no limit of core files but 0 itself
 *   again      its child wants to fork too, and sends what became of it
 *   or what it has, see holdings.h */
#include <errno.h>
#include <pthread.h>
#include <sandwire/sandwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "holdings.h"

enum { MAX_WORDS = 32 };

#define BEHAVIOURS(X) \
  X(exit_with)        \
  X(core_limit)       \
  X(die_by)           \
  X(spin)             \
  X(wait_forever)     \
  X(make_syscall)     \
  X(inspect)          \
  X(exhaust)          \
  X(leave_behind) X(reach_out) X(echo) X(terminal) X(try_socket) X(tell_self) X(fds) X(ring_attack)
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

static const char *how = "";
static uint32_t hooked;

static int is(const char *name) {
  return strcmp(how, name) == 0;
}

static int before_fork(void *context) {
  *(uint32_t *)context = 40;
  while (is("hang")) {
    pause();
  }
  if (is("late")) {
    take_holding("shared");
  }
  return is("before") ? EDOM : 0;
}

static int after_fork_in_child(void *context) {
  *(uint32_t *)context += 2;
  return is("after") ? EDOM : 0;
}

static bool is_for_children(int fd, void *context) {
  (void)context;
  return fd == SHARED_FD && is_shared_on_purpose(how);
}

static void *wait_in_thread(void *unused) {
  for (;;) {
    pause();
  }
  return unused;
}

static int give_core_files_up(void) {
  return setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

static int fork_until_child(struct sandwire_comms *comms) {
  struct sandwire_forking_client *client = sandwire_forking_client_create(comms);
  pthread_t thread;
  if (client == NULL ||
      (strncmp(how, "thread", 6) == 0 && pthread_create(&thread, NULL, wait_in_thread, NULL) != 0) ||
      (is("low") && give_core_files_up() != 0)) {
    exit(115);
  }
  sandwire_forking_client_set_options(client, &(struct sandwire_forking_options){
                                                  .max_threads = is("threads") ? 2 : 0,
                                                  .before_fork = before_fork,
                                                  .after_fork_in_child = after_fork_in_child,
                                                  .context = &hooked,
                                                  .share_memory = is_shared_on_purpose(how),
                                                  .share_fd = is_for_children,
                                              });
  enum sandwire_error error = sandwire_forking_client_enter_fork_loop(client);
  if (error != SANDWIRE_OK) {
    if (error == SANDWIRE_ERROR_CLOSED) {
      exit(0);
    }
    fprintf(stderr, "behave: %s\n", sandwire_comms_error_text(comms));
    exit(10 + (int)error);
  }
  if (is("again")) {
    hooked = (uint32_t)-sandwire_forking_client_wait_and_fork(client);
    sandwire_forking_client_destroy(client);
  }
  return 0;
}

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  if (comms == NULL || argc < 2) {
    return 116;
  }
  how = argc > 2 ? argv[2] : "";
  take_holding(how);
  if (strcmp(argv[1], "fork") == 0) {
    fork_until_child(comms);
  }
  if (is("lowers") && give_core_files_up() != 0) {
    return 113;
  }
  if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    fprintf(stderr, "behave: %s\n", sandwire_comms_error_text(comms));
    return 117;
  }
  if (is("hooks") || is("again")) {
    return sandwire_comms_send_uint32(comms, hooked) == SANDWIRE_OK ? 0 : 114;
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
