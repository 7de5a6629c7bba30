/* echo [me-here|talk-first|slowly]: sends every message back as it came, fds included, until the host closes
 * the channel. me-here: under its filter from the start; talk-first: only after it has sent one message back
 * without the filter; slowly: after 1.6 s. */
#include <sandwire/sandwire.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  if (comms == NULL) {
    return 2;
  }
  const bool talks_first = argc > 1 && strcmp(argv[1], "talk-first") == 0;
  if (talks_first) {
    struct sandwire_any message;
    if (sandwire_comms_recv_any(comms, &message) != SANDWIRE_OK ||
        sandwire_comms_send_tlv(comms, message.tag, message.payload, message.size) != SANDWIRE_OK) {
      return 4;
    }
    sandwire_any_destroy(&message);
  }
  if ((talks_first || (argc > 1 && strcmp(argv[1], "me-here") == 0)) &&
      sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    return 3;
  }
  if (argc > 1 && strcmp(argv[1], "slowly") == 0) {
    usleep(1600000);
  }
  for (;;) {
    struct sandwire_any message;
    enum sandwire_error error = sandwire_comms_recv_any(comms, &message);
    if (error == SANDWIRE_ERROR_CLOSED) {
      return 0;
    }
    if (error != SANDWIRE_OK) {
      return 10 + (int)error;
    }
    error = message.fd >= 0 ? sandwire_comms_send_fd(comms, message.fd)
                            : sandwire_comms_send_tlv(comms, message.tag, message.payload, message.size);
    if (message.fd >= 0) {
      close(message.fd);
    }
    sandwire_any_destroy(&message);
    if (error != SANDWIRE_OK) {
      return 40 + (int)error;
    }
  }
}
