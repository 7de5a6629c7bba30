/* The channel to the host: requests in, events out. It knows their framing, and nothing of what they say.
 * Runs in the supervisor; never waits for the host. */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As much of a request that is too long as is handed on: its kind and its run. */
enum { CONTROL_BEGINNING = 32 };

/* What the host's messages lead to. */
struct control_callbacks {
  /* A Request message. */
  void (*message)(const uint8_t *bytes, size_t size);
  /* An fd that belongs to the newest request, now the callee's. -1: the supervisor had no number left for
   * it. */
  void (*fd)(int fd);
  /* A Request that is too long to be read, of which this is the beginning. */
  void (*too_long)(const uint8_t *beginning, size_t size);
  /* control_has_room() has become true. */
  void (*has_room)(void);
  /* The host is gone, or its stream makes no sense. Nothing is called after this. */
  void (*closed)(void);
};

/* Takes the socket over. 0, or -1 with errno. */
int control_open(int socket, const struct control_callbacks *callbacks);

/* Queues one Event message. Without memory for it the channel is closed, which ends every run: a host that
 * misses an event could wait for ever. */
void control_send_event(const void *event, size_t size);

/* The same for an event that the host does not wait for: it is sent with the next one, or a little later.
 * Each one that is sent wakes the host. */
void control_hold_event(const void *event, size_t size);

/* True if so little waits for the host that it may be asked something more: an Asked event is long, and it
 * may take the host a while to read it. */
bool control_has_room(void);

#endif
