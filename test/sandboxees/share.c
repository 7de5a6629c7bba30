/* share HOW: works on a buffer that it receives.
 *   fill    fills it with 'X', as the guide does
 *   expand  makes it twice as large, with '!' at the end
 *   shrink  tries to shrink it while the host reads it: exit code 0 if the kernel refused
 *   race    changes it for as long as the host listens
 *   make    makes a buffer of its own, with "from the sandboxee" in it */
#include <errno.h>
#include <sandwire/sandwire.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  struct sandwire_comms *comms = sandwire_comms_default();
  if (comms == NULL) {
    return 10;
  }
  struct sandwire_buffer *buffer = NULL;
  if (strcmp(how, "make") == 0) {
    buffer = sandwire_buffer_create(4096);
    if (buffer == NULL) {
      return 11;
    }
    strcpy((char *)sandwire_buffer_data(buffer), "from the sandboxee");
    return sandwire_comms_send_fd(comms, sandwire_buffer_fd(buffer)) == SANDWIRE_OK ? 0 : 12;
  }
  int fd = -1;
  if (sandwire_comms_recv_fd(comms, &fd) != SANDWIRE_OK || (buffer = sandwire_buffer_from_fd(fd)) == NULL) {
    return 13;
  }
  if (strcmp(how, "fill") == 0) {
    memset(sandwire_buffer_data(buffer), 'X', sandwire_buffer_size(buffer));
  } else if (strcmp(how, "expand") == 0) {
    if (sandwire_buffer_expand(buffer, 2 * sandwire_buffer_size(buffer)) != SANDWIRE_OK) {
      return 14;
    }
    sandwire_buffer_data(buffer)[sandwire_buffer_size(buffer) - 1] = '!';
  } else if (strcmp(how, "shrink") == 0) {
    if (ftruncate(fd, 0) == 0 || errno != EPERM) {
      return 15;
    }
  } else if (strcmp(how, "race") == 0) {
    volatile uint8_t *data = sandwire_buffer_data(buffer);
    if (sandwire_comms_send_barrier(comms) != SANDWIRE_OK) {
      return 16;
    }
    for (;;) {
      data[0]++; /* the host ends it */
    }
  }
  enum sandwire_error error = sandwire_comms_send_barrier(comms);
  sandwire_buffer_destroy(buffer);
  return error == SANDWIRE_OK ? 0 : 17;
}
