/* behave fork [HOW]|me-here: a fork server, or a program that sandboxes itself. The sandboxee receives a
 * command line, as bytes with a NUL behind each word, and does what the sandboxee of that name does. HOW:
 *   before     the hook before each fork fails with EDOM
 *   after      the hook after each fork does
 *   hang       the hook before each fork never returns
 *   hooks      both work: the child gets 40 from the one and 2 from the other, and sends the sum
 *   thread     has a second thread
 *   threads    the same, and says that this is fine
 *   busy       has an fd of its own on 9
 *   shared     has memory that is shared and writable
 *   sharing    the same, and says that this is fine
 *   writable   has memory that is shared and read-only, of a file that is open for writing
 *   readonly   has memory that is shared and read-only, of a file that is open for reading
 *   ring       has a ring of io_uring, or exits with 100 and the errno; ringing: and says that memory is
 * shared on purpose lowers     its child, or the program that sandboxes itself, lowers its limit of core
 * files before that low        has no limit of core files but 0 itself again      its child wants to fork
 * too, and sends what became of it */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sandwire/sandwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_WORDS = 32 };

#define BEHAVIOURS(X) \
  X(exit_with)        \
  X(core_limit)       \
  X(die_by)           \
  X(spin)             \
  X(wait_forever)     \
  X(make_syscall)     \
  X(inspect) X(exhaust) X(leave_behind) X(reach_out) X(echo) X(terminal) X(try_socket) X(tell_self)
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
  return is("before") ? EDOM : 0;
}

static int after_fork_in_child(void *context) {
  *(uint32_t *)context += 2;
  return is("after") ? EDOM : 0;
}

/* A shared mapping of a file in memory, for reading. */
static void map_shared(int is_writable) {
  int fd = memfd_create("mapped", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, 4096) != 0) {
    exit(115);
  }
  if (!is_writable) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    close(fd);
    fd = read_only;
  }
  if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED) {
    exit(115);
  }
  close(fd);
}

/* The ring stays mapped; its fd is closed. */
static void make_ring(void) {
  static struct io_uring_params parameters;
  int fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  if (fd < 0) {
    exit(100 + (errno == ENOSYS ? 38 : errno));
  }
  if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING) == MAP_FAILED) {
    exit(115);
  }
  close(fd);
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
      (is("low") && give_core_files_up() != 0) || (is("busy") && dup2(0, 9) < 0) ||
      (strncmp(how, "shar", 4) == 0 &&
       mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)) {
    exit(115);
  }
  if (is("writable") || is("readonly")) {
    map_shared(is("writable"));
  }
  if (strncmp(how, "ring", 4) == 0) {
    make_ring();
  }
  sandwire_forking_client_set_options(client, &(struct sandwire_forking_options){
                                                  .max_threads = is("threads") ? 2 : 0,
                                                  .before_fork = before_fork,
                                                  .after_fork_in_child = after_fork_in_child,
                                                  .context = &hooked,
                                                  .share_memory = is("sharing") || is("ringing"),
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
