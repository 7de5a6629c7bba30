/* make_syscall NUMBER [ARG …]: makes one syscall. An argument is a number, or text whose address is passed.
 * Exits with errno, 0 on success. "32:NUMBER" uses the 32-bit entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long argument(const char *text) {
  char *end;
  long value = strtol(text, &end, 0);
  return *text != '\0' && *end == '\0' ? value : (long)text;
}

int main(int argc, char **argv) {
  long args[6] = {0};
  if (argc < 2) {
    return 200;
  }
  for (int i = 2; i < argc && i < 8; i++) {
    args[i - 2] = argument(argv[i]);
  }
#if defined(__x86_64__)
  if (strncmp(argv[1], "32:", 3) == 0) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(atol(argv[1] + 3)), "b"(args[0]), "c"(args[1]), "d"(args[2])
                     : "memory");
    return result < 0 ? (int)-result : 0;
  }
#endif
  return syscall(strtol(argv[1], NULL, 0), args[0], args[1], args[2], args[3], args[4], args[5]) < 0 ? errno
                                                                                                     : 0;
}
