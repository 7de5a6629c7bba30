/* die_by abort|segfault|SIGNAL-NUMBER: ends by a signal. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  if (argc < 2) {
    return 2;
  }
  if (strcmp(argv[1], "abort") == 0) {
    abort();
  }
  if (strcmp(argv[1], "segfault") == 0) {
    volatile uintptr_t nowhere = 16; /* volatile: the compiler must not notice that it is wrong */
    *(volatile int *)nowhere = 1;
  }
  raise(atoi(argv[1]));
  return 3;
}
