/* leave_behind: starts a daemon in a session of its own, says so on standard output, and exits with 0. */
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      if (write(1, "daemon\n", 7) != 7) {
        _exit(1);
      }
      for (;;) {
        pause();
      }
    }
    _exit(0);
  }
  sleep(1);
  return 0;
}
