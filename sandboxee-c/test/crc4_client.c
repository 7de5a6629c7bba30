/* A sandboxee: asks for its policy, then answers Bytes with their crc4 as a Uint32, once. Exit codes: 10 no
 * comms, 11 no policy (the reason on standard error), 12 the exchange failed, 13 a forbidden syscall was
 * allowed.
 *
 * Arguments: "violate" makes a syscall that no recorded policy allows. "second-client" asks by another client
 * than the first. "report NAME…" prints, instead of the exchange, the working directory, the comms fd and
 * where each NAME is mapped (needs a policy that allows it).
 *
 * It leaves with _exit(), because the policies allow little more. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandwire/sandwire.h"

static void report(const struct sandwire_comms *comms, const struct sandwire_client *client, char **names) {
  char cwd[PATH_MAX] = "";
  printf("cwd=%s comms=%d", getcwd(cwd, sizeof cwd) ? cwd : "?", sandwire_comms_fd(comms));
  for (; *names; names++) {
    printf(" %s=%d", *names, sandwire_client_mapped_fd(client, *names));
  }
  printf("\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  static unsigned char bytes[1 << 16];
  struct sandwire_comms *comms = sandwire_comms_default();
  if (!comms) {
    perror("comms");
    _exit(10);
  }
  struct sandwire_client *client = sandwire_client_create(comms);
  if (!client) {
    perror("client");
    _exit(11);
  }
  if (argc > 1 && strcmp(argv[1], "second-client") == 0) {
    sandwire_client_destroy(
        client); /* the host's variables are gone, but not what they said about the host */
    if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK || sandwire_sandbox_me_here(comms) == SANDWIRE_OK) {
      _exit(11);
    }
  } else if (sandwire_client_sandbox_me_here(client) != SANDWIRE_OK) {
    dprintf(STDERR_FILENO, "%s\n", sandwire_comms_error_text(comms));
    _exit(11);
  }
  if (argc > 1 && strcmp(argv[1], "violate") == 0) {
    (void)syscall(SYS_getppid);
    _exit(13);
  }
  if (argc > 1 && strcmp(argv[1], "report") == 0) {
    report(comms, client, argv + 2);
    _exit(0);
  }

  size_t size;
  uint32_t crc4 = 0;
  if (sandwire_comms_recv_bytes(comms, bytes, sizeof bytes, &size)) {
    _exit(12);
  }
  for (size_t i = 0; i < size; i++) {
    crc4 ^= (uint32_t)bytes[i] << (8 * (i % 4));
  }
  if (sandwire_comms_send_uint32(comms, crc4)) {
    _exit(12);
  }
  _exit(0);
}
