/* Takes TLV messages out of a byte stream as it arrives, without ever waiting and without trusting a length:
 * memory grows with the bytes that came. Used by the blocking comms of the library and by the supervisor.
 *
 * An fd comes with the last bytes of the chunk it was received with, and belongs to the Fd message whose
 * header holds the last of these bytes. Until the parser is there it is held as pending_fd, and no more is
 * received than completes that header, as what follows may bring the next fd. A second fd meanwhile, or
 * another message in that place, is SURPLUS_FD; an Fd message elsewhere is NO_FD. */
#ifndef SANDWIRE_READER_H
#define SANDWIRE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandwire/comms.h"
#include "socket_io.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_reader {
  uint8_t *buffer;
  size_t capacity;
  size_t start, end;      /* unread bytes: buffer[start, end) */
  uint64_t payload_limit; /* bytes; a longer promise fails before anything is allocated */
  int pending_fd;         /* came with bytes not yet taken; -1: none */
  size_t pending_end;     /* where in the buffer the chunk that brought pending_fd ends */
  int failure;            /* SANDWIRE_ERROR_* that no further byte can mend: every later call returns it */
  bool wants_credentials; /* set it when the socket has SO_PASSCRED */
  struct sandwire_credentials credentials; /* of the writer of the newest chunk, if wants_credentials */
  void (*discard)(void *closer, int fd);   /* closes what no message announced; NULL: close() */
  void *closer;
};

struct sandwire_message {
  uint32_t tag;
  const uint8_t *payload; /* borrowed: valid until the reader is next filled */
  size_t length;          /* bytes */
  int fd;                 /* of an Fd or CommsUpgrade message, now the caller's; otherwise -1 */
};

void sandwire_reader_init(struct sandwire_reader *reader, uint64_t payload_limit);

/* Closes an fd that is not wanted, by the reader's discard. */
void sandwire_reader_discard(const struct sandwire_reader *reader, int fd);

/* Frees the buffer, discards a pending fd. Safe to call twice. */
void sandwire_reader_destroy(struct sandwire_reader *reader);

/* One receive from the socket (flags: 0 or MSG_DONTWAIT), once every whole message was taken. SANDWIRE_OK,
 * SANDWIRE_ERROR_CLOSED at the end of the stream, SANDWIRE_ERROR_SURPLUS_FD, SANDWIRE_ERROR_TOO_LARGE when it
 * already holds a whole message of the greatest length, or SANDWIRE_ERROR_SYSTEM with errno set (EAGAIN and
 * ENOMEM included). */
int sandwire_reader_fill(struct sandwire_reader *reader, int socket, int flags);

/* The next whole message. Returns 1 with *message filled, 0 if more bytes are needed, or a negative
 * -SANDWIRE_ERROR_*: TOO_LARGE, NO_FD, SURPLUS_FD, BAD_LENGTH (an Fd message with a payload). */
int sandwire_reader_next(struct sandwire_reader *reader, struct sandwire_message *message);

/* Looks at the tag of the next message without taking it: 1, 0 (header not complete) or negative as above. */
int sandwire_reader_peek(const struct sandwire_reader *reader, uint32_t *tag);

/* What follows serves the library's own comms.
 *
 * Tag and promised length of the next message; 1, 0 or negative as above. */
int sandwire_reader_peek_header(const struct sandwire_reader *reader, uint32_t *tag, uint64_t *length);

/* Bytes still missing from the next header, or once that is there from its payload; 0: a whole message. */
size_t sandwire_reader_missing(const struct sandwire_reader *reader);

/* Makes room for at least one more byte behind `end`. SANDWIRE_OK, TOO_LARGE, or SYSTEM with errno ENOMEM. */
int sandwire_reader_make_room(struct sandwire_reader *reader);

/* Accounts for what a receive brought: received bytes that it put behind `end`, and fds, which are the
 * reader's from now on. received may be what sandwire_socket_receive() returned; same result as
 * sandwire_reader_fill(). */
int sandwire_reader_accept(struct sandwire_reader *reader, ssize_t received,
                           const struct sandwire_arrived_fds *arrived);

/* Forgets size bytes at the start, which the caller has used: a header, and what there was of its payload. */
void sandwire_reader_skip(struct sandwire_reader *reader, size_t size);

/* Whether the pending fd cannot belong to the next message, whose header is there and announces none. */
bool sandwire_reader_has_stray_fd(const struct sandwire_reader *reader);

/* Whether at the end of the stream a message was cut short. */
bool sandwire_reader_is_mid_message(const struct sandwire_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
