/* Takes TLV messages out of a byte stream as it arrives, without ever waiting and without trusting a length:
 * memory grows with the bytes that came. Used by the blocking comms of the library and by the supervisor. */
#ifndef SANDWIRE_READER_H
#define SANDWIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandwire_reader {
  uint8_t *buffer;
  size_t capacity;
  size_t start, end;      /* unread bytes: buffer[start, end) */
  uint64_t payload_limit; /* bytes; a longer promise fails before anything is allocated */
  int pending_fd;         /* came with bytes not yet taken; -1: none */
};

struct sandwire_message {
  uint32_t tag;
  const uint8_t *payload; /* borrowed: valid until the reader is next filled */
  size_t length;          /* bytes */
  int fd;                 /* of an Fd message, now the caller's; otherwise -1 */
};

void sandwire_reader_init(struct sandwire_reader *reader, uint64_t payload_limit);

/* Frees the buffer, closes a pending fd. Safe to call twice. */
void sandwire_reader_destroy(struct sandwire_reader *reader);

/* One receive from the socket (flags: 0 or MSG_DONTWAIT). SANDWIRE_OK, SANDWIRE_ERROR_CLOSED at the end of
 * the stream, SANDWIRE_ERROR_SURPLUS_FD, or SANDWIRE_ERROR_SYSTEM with errno set (EAGAIN included). */
int sandwire_reader_fill(struct sandwire_reader *reader, int socket, int flags);

/* The next whole message. Returns 1 with *message filled, 0 if more bytes are needed, or a negative
 * -SANDWIRE_ERROR_*: TOO_LARGE, NO_FD, SURPLUS_FD, BAD_LENGTH (an Fd message with a payload). */
int sandwire_reader_next(struct sandwire_reader *reader, struct sandwire_message *message);

/* Looks at the tag of the next message without taking it: 1, 0 (header not complete) or negative as above. */
int sandwire_reader_peek(const struct sandwire_reader *reader, uint32_t *tag);

#endif
