/* stay HOW: does everything to survive.
 *   bomb            forks for ever, each child too
 *   daemons         the same, each in a session of its own and ignoring signals
 *   stop-each-other children that stop each other and their parent
 *   signals         sends every signal to all processes that it can see
 *   512-signals     the same, with 512 processes
 *   orphan          leaves a child that never ends, and exits with 5 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void bomb(int in_sessions) {
  for (;;) {
    if (fork() == 0 && in_sessions) {
      setsid();
      for (int number = 1; number < 32; number++) {
        signal(number, SIG_IGN);
      }
    }
  }
}

static void stop_each_other(void) {
  for (int i = 0; i < 10; i++) {
    if (fork() == 0) {
      break;
    }
  }
  for (;;) {
    kill(-1, SIGSTOP);
    kill(getppid(), SIGSTOP);
  }
}

/* From this many processes, which begin once all exist: otherwise forking them would take long. */
static void send_signals(int processes) {
  int gate[2];
  char byte;
  for (int number = 1; number < 65; number++) {
    signal(number, SIG_IGN);
  }
  if (pipe(gate) != 0) {
    return;
  }
  for (int i = 1; i < processes; i++) {
    if (fork() == 0) {
      close(gate[1]);
      (void)!read(gate[0], &byte, 1);
      break;
    }
  }
  close(gate[1]);
  for (;;) {
    for (int number = 1; number < 65; number++) {
      /* 32 and 33 are the C library's own, and cannot be ignored. */
      if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33) {
        kill(-1, number);
        kill(1, number);
        kill(0, number);
      }
    }
  }
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  if (strcmp(how, "bomb") == 0 || strcmp(how, "daemons") == 0) {
    bomb(how[0] == 'd');
  } else if (strcmp(how, "stop-each-other") == 0) {
    stop_each_other();
  } else if (strcmp(how, "signals") == 0) {
    send_signals(32);
  } else if (strcmp(how, "512-signals") == 0) {
    send_signals(512);
  } else if (strcmp(how, "orphan") == 0) {
    if (fork() == 0) {
      for (;;) {
        pause();
      }
    }
    return 5;
  }
  return 200;
}
