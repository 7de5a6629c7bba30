/* A fork server whose children put themselves under their policy and end. */
#include <sandwire/sandwire.h>

int main(void) {
  struct sandwire_comms *comms = sandwire_comms_default();
  struct sandwire_forking_client *client = comms == NULL ? NULL : sandwire_forking_client_create(comms);
  if (client == NULL || sandwire_forking_client_enter_fork_loop(client) != SANDWIRE_OK) {
    return 1;
  }
  return sandwire_sandbox_me_here(comms) == SANDWIRE_OK ? 0 : 2;
}
