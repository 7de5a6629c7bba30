/* Below the typed calls: whole messages out, bytes into the reader, deadlines, and what went wrong in words.
 */
#ifndef SANDWIRE_TRANSPORT_H
#define SANDWIRE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reader.h"
#include "sandwire/comms.h"

enum { SANDWIRE_ERROR_TEXT_SIZE = 192, SANDWIRE_CORK_SIZE = 64 * 1024 };

struct sandwire_comms {
  int fd;
  bool uses_read_write; /* in a sandbox of sandbox2: see sandwire_comms_default() */
  int timeout_ms;       /* -1: none */
  int64_t deadline_ms;  /* of the call going on, CLOCK_MONOTONIC; -1: none */
  uint64_t payload_limit;
  enum sandwire_error send_failure;    /* final: every later send returns it */
  enum sandwire_error receive_failure; /* likewise */
  const char *operation;               /* of the call going on, for the error text */
  bool is_corked;
  uint8_t
      *collected; /* SANDWIRE_CORK_SIZE bytes, once corked; kept, as free() may need what a policy forbids */
  size_t collected_size;
  struct sandwire_reader reader;
  char error_text[SANDWIRE_ERROR_TEXT_SIZE];
};

/* Each public call starts with this. */
void sandwire_transport_begin(struct sandwire_comms *comms, const char *operation);

/* Records what went wrong and returns error. detail may be NULL; for SYSTEM errno is added. */
enum sandwire_error sandwire_transport_fail(struct sandwire_comms *comms, enum sandwire_error error,
                                            const char *detail);
/* The same, and no later receive can succeed. */
enum sandwire_error sandwire_transport_fail_receive(struct sandwire_comms *comms, enum sandwire_error error,
                                                    const char *detail);

/* Header and payload in one system call where the kernel takes them. fd -1: none. */
enum sandwire_error sandwire_transport_send(struct sandwire_comms *comms, uint32_t tag, const void *payload,
                                            size_t size, int fd);

/* Sends what was collected while corked. */
enum sandwire_error sandwire_transport_send_collected(struct sandwire_comms *comms);

/* Waits until the reader holds the next header. ancillary: an fd or credentials are wanted, which only
 * matters where plain data goes by read(). */
enum sandwire_error sandwire_transport_await_header(struct sandwire_comms *comms, bool ancillary,
                                                    uint32_t *tag, size_t *length);

/* Waits until the reader holds the whole next message, whose header is there already. */
enum sandwire_error sandwire_transport_await_message(struct sandwire_comms *comms);

/* Takes the next message off the reader, which holds all of it. */
enum sandwire_error sandwire_transport_take(struct sandwire_comms *comms, struct sandwire_message *message);

/* Receives up to size bytes of a payload past the reader, which must be empty. At least one, or an error,
 * which is final since the message is half read by then. No deadline is kept. */
enum sandwire_error sandwire_transport_receive_directly(struct sandwire_comms *comms, void *buffer,
                                                        size_t size, size_t *received);

#endif
