/* Loaded into a fork server by LD_PRELOAD. Watches the joiners, which share the fork server's memory: reports
 * on standard error when one allocates or frees memory. With JOINER=dies in the environment the first one is
 * killed within fork(). */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static volatile long server; /* 0: it is not known yet */
static volatile int is_child, dies;

static int is_joiner(void) {
  return server != 0 && !is_child && syscall(SYS_getpid) != server;
}

static void note(const char *call) {
  if (is_joiner()) {
    (void)!write(2, call, strlen(call));
  }
}

void *malloc(size_t size) {
  note("the joiner calls malloc()\n");
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  note("the joiner calls calloc()\n");
  return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
  note("the joiner calls realloc()\n");
  return __libc_realloc(memory, size);
}

void free(void *memory) {
  note("the joiner calls free()\n");
  __libc_free(memory);
}

static void before_fork(void) {
  if (dies && is_joiner()) {
    dies = 0; /* the fork server sees this */
    (void)syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
  }
}

static void after_fork_in_child(void) {
  is_child = 1;
}

__attribute__((constructor)) static void start(void) {
  const char *how = getenv("JOINER");
  dies = how != NULL && strcmp(how, "dies") == 0;
  (void)pthread_atfork(before_fork, NULL, after_fork_in_child);
  server = syscall(SYS_getpid);
}
