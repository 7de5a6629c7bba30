/* ask threads COUNT|signals|leave|child|long-path|flood: makes personality(2) and chdir(2) calls that a host
 * answers. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static long ask(long number) {
  return syscall(SYS_personality, number);
}

static void *ask_in_thread(void *number) {
  return (void *)ask((long)(intptr_t)number);
}

/* The sum of what COUNT threads were told. */
static int threads(long count) {
  pthread_t *all = calloc((size_t)count, sizeof *all);
  long sum = 0;
  for (long i = 0; i < count; i++) {
    if (all == NULL || pthread_create(&all[i], NULL, ask_in_thread, (void *)(intptr_t)i) != 0) {
      return 200;
    }
  }
  for (long i = 0; i < count; i++) {
    void *told;
    pthread_join(all[i], &told);
    sum += (long)(intptr_t)told;
  }
  return (int)sum;
}

static volatile sig_atomic_t ticks;

static void on_tick(int number) {
  (void)number;
  ticks++;
}

/* Interrupted all the time while it asks. */
static int signals(void) {
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  struct itimerval every = {{0, 2000}, {0, 2000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &every, NULL);
  long told = ask(1);
  struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  return told == 77 && ticks > 0 ? 0 : 1;
}

/* Ends at the end of standard input, while its other thread asks. */
static int leave(void) {
  pthread_t other;
  if (pthread_create(&other, NULL, ask_in_thread, NULL) != 0) {
    return 200;
  }
  char byte;
  return read(STDIN_FILENO, &byte, 1) == 0 ? 3 : 201;
}

static int child(void) {
  int status = 0;
  if (fork() == 0) {
    _exit((int)ask(1));
  }
  wait(&status);
  return WEXITSTATUS(status);
}

static int long_path(void) {
  static char path[5000];
  memset(path, 'a', sizeof path - 1);
  return chdir(path) == 0 ? 0 : errno;
}

/* Children ask, with all that fits into a question, and are killed while they wait; for ever. */
static int flood(void) {
  enum { CHILDREN = 40, PIECE = 8192 };
  static char pieces[6 * PIECE];
  memset(pieces, 1, sizeof pieces);
  for (;;) {
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
      children[i] = fork();
      if (children[i] == 0) {
        syscall(SYS_personality, pieces, pieces + PIECE, pieces + 2 * PIECE, pieces + 3 * PIECE,
                pieces + 4 * PIECE, pieces + 5 * PIECE);
        _exit(0);
      }
    }
    usleep(3000);
    for (int i = 0; i < CHILDREN; i++) {
      kill(children[i], SIGKILL);
      waitpid(children[i], NULL, 0);
    }
  }
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "threads") == 0) {
    return threads(argc > 2 ? atol(argv[2]) : 1);
  } else if (strcmp(what, "signals") == 0) {
    return signals();
  } else if (strcmp(what, "leave") == 0) {
    return leave();
  } else if (strcmp(what, "child") == 0) {
    return child();
  } else if (strcmp(what, "long-path") == 0) {
    return long_path();
  } else if (strcmp(what, "flood") == 0) {
    return flood();
  }
  return 201;
}
