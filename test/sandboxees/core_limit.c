/* core_limit [crash]: tries to change the limit of core files, by every call and from every kind of process.
 * Exits with 0 if the limit stays as it is and the calls return what they should, otherwise with the number
 * of the first attempt that differs. crash: crashes afterwards, in a child, and waits for it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rlimit before;

static int stands(void) {
  struct rlimit now;
  return syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, &now) == 0 && now.rlim_cur == before.rlim_cur &&
         now.rlim_max == before.rlim_max;
}

static int answers(int expected, long result) {
  return (result == 0 ? 0 : errno) == expected && stands();
}

/* The kernel ignores the upper half of a resource number, but not that of a pointer. */
static int try_all(pid_t whose) {
  static const rlim_t values[][2] = {{0, 0}, {0, 1}, {4096, 4096}, {RLIM_INFINITY, RLIM_INFINITY}, {2, 1}};
  const unsigned long high = 0xdeadbeef00000000ul;
  int attempt = 0;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    struct rlimit limit = {values[i][0], values[i][1]}, old;
    const struct {
      int expected;
      unsigned long number, args[4];
    } calls[] = {
        {0, SYS_setrlimit, {RLIMIT_CORE, (uintptr_t)&limit}},
        {0, SYS_setrlimit, {high | RLIMIT_CORE, (uintptr_t)&limit}},
        {0, SYS_prlimit64, {0, RLIMIT_CORE, (uintptr_t)&limit}},
        {0, SYS_prlimit64, {(unsigned long)whose, RLIMIT_CORE, (uintptr_t)&limit}},
        {0, SYS_prlimit64, {(unsigned long)whose, high | RLIMIT_CORE, (uintptr_t)&limit}},
        {0, SYS_prlimit64, {0, RLIMIT_CORE, 0x100000000ul}},
        {EPERM, SYS_prlimit64, {0, RLIMIT_CORE, (uintptr_t)&limit, (uintptr_t)&old}},
        {EPERM, SYS_prlimit64, {(unsigned long)whose, RLIMIT_CORE, (uintptr_t)&limit, 0x100000000ul}},
    };
    for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++) {
      const unsigned long *args = calls[call].args;
      attempt++;
      if (!answers(calls[call].expected,
                   syscall((long)calls[call].number, args[0], args[1], args[2], args[3]))) {
        return attempt;
      }
    }
  }
  return 0;
}

static void *try_in_thread(void *result) {
  *(int *)result = try_all(getpid());
  return NULL;
}

static int try_in_child(void) {
  const pid_t parent = getpid(), child = fork();
  if (child == 0) {
    _exit(try_all(parent));
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 120;
}

/* Another limit can still be changed. */
static int changes_another(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return 0;
  }
  files.rlim_cur--;
  return setrlimit(RLIMIT_NOFILE, &files) == 0 &&
         syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, &before) == 0 && before.rlim_cur == files.rlim_cur;
}

static int crash(void) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);
    abort();
  }
  int status = -1;
  return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && !WCOREDUMP(status) ? 0
                                                                                                       : 130;
}

int main(int argc, char **argv) {
  if (!changes_another() || getrlimit(RLIMIT_CORE, &before) != 0) {
    return 200;
  }
  pthread_t thread;
  int in_thread = 110, result = try_all(getpid());
  if (pthread_create(&thread, NULL, try_in_thread, &in_thread) != 0 || pthread_join(thread, NULL) != 0) {
    return 201;
  }
  result = result != 0 ? result : in_thread != 0 ? in_thread : try_in_child();
  return result != 0 ? result : argc > 1 && strcmp(argv[1], "crash") == 0 ? crash() : 0;
}
