/* spin: uses up CPU time for ever, and ignores every signal that can be ignored. */
#include <signal.h>

int main(void) {
  for (int signal_number = 1; signal_number < 32; signal_number++) {
    signal(signal_number, SIG_IGN);
  }
  for (;;) {
    __asm__ volatile("");
  }
}
