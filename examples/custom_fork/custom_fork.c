/* A fork server: it prepares itself once and then forks a sandboxee whenever its host asks for one. The code
 * before the loop runs once and without a policy. The code after it runs in every sandboxee, under the policy
 * from sandwire_sandbox_me_here() on. */
#include <sandwire/sandwire.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* Stands for anything that takes time: loading a model, computing a table. */
static uint32_t squares[1 << 20];

static void prepare(void) {
  for (uint32_t i = 0; i < sizeof squares / sizeof squares[0]; i++) {
    squares[i] = i * i;
  }
}

int main(void) {
  struct sandwire_comms *comms = sandwire_comms_default();
  struct sandwire_forking_client *client = comms == NULL ? NULL : sandwire_forking_client_create(comms);
  if (client == NULL) {
    fprintf(stderr, "custom_fork: not started by a sandwire host\n");
    return 100;
  }
  prepare();

  enum sandwire_error error = sandwire_forking_client_enter_fork_loop(client);
  if (error != SANDWIRE_OK) { /* the fork server itself, when there is nothing more to do */
    return error == SANDWIRE_ERROR_CLOSED ? 0 : 101;
  }

  /* A child, in its own sandbox: comms is connected to its own Sandbox2 now. */
  int32_t number = 0;
  if (sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    return 102;
  }
  if (getpid() != 2) { /* 1 is the sandbox's init */
    return 103;
  }
  if (sandwire_comms_recv_int32(comms, &number) != SANDWIRE_OK || number < 0 || number >= 100 ||
      sandwire_comms_send_uint32(comms, squares[number]) != SANDWIRE_OK) {
    return 104;
  }
  return number;
}
