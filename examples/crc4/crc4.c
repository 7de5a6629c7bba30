/* A sandboxed tool that uses comms: it receives bytes and sends their crc4 back. It sandboxes itself when its
 * start-up is done; everything after sandwire_sandbox_me_here() runs under the host's policy. */
#include <sandwire/sandwire.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

/* Byte i of the input is XORed into the result at bits 8·(i mod 4). */
static uint32_t crc4(const uint8_t *bytes, size_t size) {
  uint32_t result = 0;
  for (size_t i = 0; i < size; i++) {
    result ^= (uint32_t)bytes[i] << (8 * (i % 4));
  }
  return result;
}

int main(int argc, char **argv) {
  struct sandwire_comms *comms = sandwire_comms_default();
  if (comms == NULL || sandwire_sandbox_me_here(comms) != SANDWIRE_OK) {
    fprintf(stderr, "crc4: not started by a sandwire host\n");
    return 2;
  }
  void *bytes;
  size_t size;
  if (sandwire_comms_recv_bytes_alloc(comms, &bytes, &size) != SANDWIRE_OK) {
    return 3;
  }
  if (argc > 1 && strcmp(argv[1], "--violate") == 0) {
    sendfile(1, 0, NULL, 4096); /* no policy here allows it */
  }
  uint32_t checksum = crc4(bytes, size);
  free(bytes);
  return sandwire_comms_send_uint32(comms, checksum) == SANDWIRE_OK ? 0 : 4;
}
