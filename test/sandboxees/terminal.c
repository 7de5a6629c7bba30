/* terminal WHAT: does it to the terminal that is its standard output, and exits with errno, 0 on success.
 *   stop      stops its output
 *   answer    makes a letter of the terminal's own answers stop the output, or be a signal, and then asks
 *   size      changes its size
 *   settings  changes its settings by each of the existing calls: 0 if any succeeded
 *   read      reads what is typed
 *   keep      does none of this: checks only that it is a terminal */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int answer(void) {
  struct termios settings;
  if (tcgetattr(1, &settings) != 0) {
    return errno;
  }
  settings.c_iflag |= IXON;
  settings.c_cc[VSTOP] = 'c';
  settings.c_cc[VSTART] = _POSIX_VDISABLE;
  settings.c_cc[VQUIT] = '?';
  const int error = tcsetattr(1, TCSANOW, &settings) != 0 ? errno : 0;
  if (write(1, "\x1b[c", 3) != 3) {
    return errno;
  }
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* time for the terminal to answer */
  return error;
}

static int change_settings(void) {
  struct termios settings;
  if (tcgetattr(1, &settings) != 0) {
    return errno;
  }
  settings.c_lflag ^= ECHO;
  bool changed = false;
  for (int how = TCSANOW; how <= TCSAFLUSH; how++) {
    changed = tcsetattr(1, how, &settings) == 0 || changed;
  }
  char old[64], newer[64]; /* struct termio and termios2 */
  const unsigned long older_calls[] = {TCSETA, TCSETAW, TCSETAF};
  const unsigned long newer_calls[] = {0x402c542b, 0x402c542c, 0x402c542d};
  for (int i = 0; i < 3; i++) {
    changed = (ioctl(1, TCGETA, old) == 0 && ioctl(1, older_calls[i], old) == 0) || changed;
    changed = (ioctl(1, 0x802c542a, newer) == 0 && ioctl(1, newer_calls[i], newer) == 0) || changed;
  }
  return changed ? 0 : errno;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "stop") == 0) {
    return ioctl(1, TCXONC, TCOOFF) == 0 ? 0 : errno;
  } else if (strcmp(what, "answer") == 0) {
    return answer();
  } else if (strcmp(what, "size") == 0) {
    const struct winsize size = {.ws_row = 7, .ws_col = 70};
    return ioctl(1, TIOCSWINSZ, &size) == 0 ? 0 : errno;
  } else if (strcmp(what, "settings") == 0) {
    return change_settings();
  } else if (strcmp(what, "read") == 0) {
    char byte;
    /* EAGAIN: it could read, if something had been typed. */
    return fcntl(1, F_SETFL, O_NONBLOCK) == 0 && read(1, &byte, 1) >= 0 ? 0 : errno;
  } else if (strcmp(what, "keep") == 0) {
    return isatty(1) ? 0 : 100;
  }
  return 200;
}
