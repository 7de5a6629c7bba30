/* wait_forever [stop]: sleeps for ever; with "stop" it stops itself first. */
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv) {
  (void)argv;
  if (argc > 1) {
    raise(SIGSTOP);
  }
  for (;;) {
    pause();
  }
}
