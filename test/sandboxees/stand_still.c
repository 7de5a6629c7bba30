/* stand_still me-here|fork: does nothing, so that what it holds can be looked at from outside. me-here: from
 * the return of sandboxMeHere() on. fork: a fork server, whose children do the same. Before exec:
 * first_instruction. */
#include <sandwire/sandwire.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  if (argc < 2 || comms == NULL) {
    return 101;
  }
  if (strcmp(argv[1], "fork") == 0) {
    struct sandwire_forking_client *client = sandwire_forking_client_create(comms);
    if (client == NULL || sandwire_forking_client_enter_fork_loop(client) != SANDWIRE_OK) {
      return 102;
    }
  }
  if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    return 103;
  }
  for (;;) {
    pause();
  }
}
