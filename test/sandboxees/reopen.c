/* reopen OTHER FD: tries to write to its own executable, and to the file on FD, which it was given for
 * reading. A file that is being executed cannot be written to, so it first becomes OTHER (another copy of
 * itself), with "after" for FD, and keeps both on fds. Prints the results; "open" is an escape. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void try_writing(const char *what, const char *fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%s", fd);
  printf("%s=%s\n", what, open(path, O_WRONLY) >= 0 ? "open" : strerror(errno));
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "after") == 0) {
    try_writing("executable", argv[3]);
    try_writing("given file", argv[4]);
    return 0;
  }
  char number[16];
  int self = open("/proc/self/exe", O_PATH);
  if (argc != 3 || self < 0) {
    return 200;
  }
  snprintf(number, sizeof number, "%d", self);
  execl(argv[1], "reopen", "after", argv[1], number, argv[2], NULL);
  return errno;
}
