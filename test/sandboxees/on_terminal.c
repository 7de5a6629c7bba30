/* on_terminal SECONDS COMMAND...: not a sandboxee. Runs a command on a terminal of its own, in the
 * foreground, as a shell would, and plays the terminal: it prints what is written there, and answers when it
 * is asked what it is. Then it reports the state of the terminal, on a line of its own: terminal: ended 0,
 * settings same, size same, output goes on "ended" is the exit code, or 256 and more for a signal; "too late"
 * if the command has not ended in time. It does not wait for processes that the command leaves running. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char question[] = "\x1b[c", answer[] = "\x1b[?1;2c";

_Noreturn static void fail(const char *what) {
  perror(what);
  exit(100);
}

static void show(int terminal) {
  static size_t matched;
  char text[4096];
  ssize_t size;
  while ((size = read(terminal, text, sizeof text)) > 0) {
    if (write(1, text, (size_t)size) != size) {
      fail("write");
    }
    for (ssize_t i = 0; i < size; i++) {
      matched = text[i] == question[matched] ? matched + 1 : text[i] == question[0] ? 1 : 0;
      if (matched == sizeof question - 1) {
        matched = 0;
        if (write(terminal, answer, sizeof answer - 1) < 0) {
          fail("answer");
        }
      }
    }
  }
}

_Noreturn static void become_command(const char *path, char **command) {
  setsid();
  const int terminal =
      open(path, O_RDWR); /* the first terminal that a session leader opens becomes the session's */
  if (terminal < 0 || dup2(terminal, 0) < 0 || dup2(terminal, 1) < 0 || dup2(terminal, 2) < 0) {
    fail("the terminal");
  }
  if (terminal > 2) {
    close(terminal);
  }
  execvp(command[0], command);
  fail(command[0]);
}

int main(int argc, char **argv) {
  if (argc < 3) {
    return 101;
  }
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  char path[64];
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0 ||
      ptsname_r(terminal, path, sizeof path) != 0) {
    fail("a terminal");
  }
  /* Kept open, because otherwise it would be reset when the command has ended. */
  const int other = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  struct termios before, after;
  struct winsize size_before, size_after;
  memset(&before, 0, sizeof before); /* they are compared as bytes */
  memset(&after, 0, sizeof after);
  if (other < 0 || tcgetattr(other, &before) != 0 || ioctl(other, TIOCGWINSZ, &size_before) != 0) {
    fail("settings");
  }
  const pid_t child = fork();
  if (child == 0) {
    become_command(path, argv + 2);
  }
  const int pidfd = child < 0 ? -1 : (int)syscall(SYS_pidfd_open, child, 0);
  if (pidfd < 0) {
    fail("fork");
  }
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += atoi(argv[1]);
  bool in_time = true;
  struct pollfd both[] = {{.fd = pidfd, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
  do {
    clock_gettime(CLOCK_MONOTONIC, &now);
    in_time = now.tv_sec < end.tv_sec;
    show(terminal);
  } while (in_time && (poll(both, 2, 1000) < 0 || (both[0].revents & POLLIN) == 0));
  kill(-child, SIGKILL);
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    fail("waitpid");
  }
  show(terminal);
  if (tcgetattr(other, &after) != 0 || ioctl(other, TIOCGWINSZ, &size_after) != 0) {
    fail("settings");
  }
  const bool goes_on = write(other, "x", 1) == 1; /* EAGAIN: it would wait */
  char ended[32];
  snprintf(ended, sizeof ended, "ended %d", WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status));
  printf("\nterminal: %s, settings %s, size %s, output %s\n", in_time ? ended : "too late",
         memcmp(&before, &after, sizeof before) == 0 ? "same" : "changed",
         memcmp(&size_before, &size_after, sizeof size_before) == 0 ? "same" : "changed",
         goes_on ? "goes on" : "stands");
  return 0;
}
