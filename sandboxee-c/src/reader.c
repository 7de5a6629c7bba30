#include "reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandwire/error.h"

enum {
  BASE_CAPACITY = 64 * 1024,   /* one receive of many small messages */
  KEPT_CAPACITY = 1024 * 1024, /* a larger buffer is given back once its message was taken */
};

void sandwire_reader_init(struct sandwire_reader *reader, uint64_t payload_limit) {
  *reader = (struct sandwire_reader){
      .payload_limit = payload_limit > SANDWIRE_MAX_PAYLOAD ? SANDWIRE_MAX_PAYLOAD : payload_limit,
      .pending_fd = -1,
      .credentials = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1},
  };
}

void sandwire_reader_discard(const struct sandwire_reader *reader, int fd) {
  if (reader->discard) {
    reader->discard(reader->closer, fd);
  } else {
    (void)close(fd);
  }
}

static void drop_pending_fd(struct sandwire_reader *reader) {
  if (reader->pending_fd >= 0) {
    sandwire_reader_discard(reader, reader->pending_fd);
    reader->pending_fd = -1;
  }
}

void sandwire_reader_destroy(struct sandwire_reader *reader) {
  drop_pending_fd(reader);
  free(reader->buffer);
  reader->buffer = NULL;
  reader->capacity = reader->start = reader->end = 0;
}

static int fail(struct sandwire_reader *reader, int error) {
  drop_pending_fd(reader);
  reader->failure = error;
  return error;
}

static bool resize(struct sandwire_reader *reader, size_t capacity) {
  uint8_t *buffer = realloc(reader->buffer, capacity);
  if (!buffer) {
    return false;
  }
  reader->buffer = buffer;
  reader->capacity = capacity;
  return true;
}

static void move_to_front(struct sandwire_reader *reader) {
  size_t unread = reader->end - reader->start;
  if (reader->start > 0) {
    if (unread > 0) {
      memmove(reader->buffer, reader->buffer + reader->start, unread);
    }
    reader->pending_end -= reader->pending_fd >= 0 ? reader->start : 0;
    reader->start = 0;
    reader->end = unread;
  }
}

int sandwire_reader_peek_header(const struct sandwire_reader *reader, uint32_t *tag, uint64_t *length) {
  if (reader->failure) {
    return -reader->failure;
  }
  if (reader->end - reader->start < SANDWIRE_HEADER_SIZE) {
    return 0;
  }
  memcpy(tag, reader->buffer + reader->start, sizeof *tag);
  memcpy(length, reader->buffer + reader->start + sizeof *tag, sizeof *length);
  return *length > reader->payload_limit ? -SANDWIRE_ERROR_TOO_LARGE : 1;
}

int sandwire_reader_peek(const struct sandwire_reader *reader, uint32_t *tag) {
  uint64_t length;
  return sandwire_reader_peek_header(reader, tag, &length);
}

size_t sandwire_reader_missing(const struct sandwire_reader *reader) {
  size_t unread = reader->end - reader->start;
  uint32_t tag = 0;
  uint64_t length = 0;
  int peeked = sandwire_reader_peek_header(reader, &tag, &length);
  if (peeked == 0) {
    return SANDWIRE_HEADER_SIZE - unread;
  }
  return peeked > 0 && length > unread - SANDWIRE_HEADER_SIZE ? length - (unread - SANDWIRE_HEADER_SIZE) : 0;
}

int sandwire_reader_make_room(struct sandwire_reader *reader) {
  size_t unread = reader->end - reader->start;
  if (reader->capacity > KEPT_CAPACITY && unread <= BASE_CAPACITY / 2) {
    move_to_front(reader);
    (void)resize(reader, BASE_CAPACITY); /* on failure the larger one serves as well */
  }
  if (reader->capacity - reader->end < reader->capacity / 2) {
    move_to_front(reader);
  }
  if (reader->end < reader->capacity) {
    return SANDWIRE_OK;
  }

  size_t greatest = SANDWIRE_HEADER_SIZE + (size_t)reader->payload_limit;
  greatest = greatest < BASE_CAPACITY ? BASE_CAPACITY : greatest;
  if (reader->capacity >= greatest) {
    return SANDWIRE_ERROR_TOO_LARGE;
  }
  /* Doubling what arrived, not allocating what was promised; but never past the end of the promise. */
  size_t capacity = reader->capacity == 0 ? BASE_CAPACITY : reader->capacity * 2;
  size_t missing = sandwire_reader_missing(reader);
  if (missing > 0 && unread + missing < capacity) {
    capacity = unread + missing;
  }
  capacity = capacity < BASE_CAPACITY ? BASE_CAPACITY : capacity;
  capacity = capacity > greatest ? greatest : capacity;
  if (!resize(reader, capacity)) {
    errno = ENOMEM;
    return SANDWIRE_ERROR_SYSTEM;
  }
  return SANDWIRE_OK;
}

int sandwire_reader_accept(struct sandwire_reader *reader, ssize_t received,
                           const struct sandwire_arrived_fds *arrived) {
  /* An fd without a byte cannot be said to belong to a message; a stream socket never delivers one. */
  bool is_wanted = arrived->count == 1 && received > 0 && reader->pending_fd < 0;
  for (size_t i = 0; i < arrived->count && !is_wanted; i++) {
    sandwire_reader_discard(reader, arrived->fds[i]);
  }
  if (received < 0) {
    errno = (int)-received;
    return SANDWIRE_ERROR_SYSTEM;
  }
  reader->end += (size_t)received;
  if (is_wanted) {
    reader->pending_fd = arrived->fds[0];
    reader->pending_end = reader->end;
  } else if (arrived->count > 0) {
    return fail(reader, SANDWIRE_ERROR_SURPLUS_FD);
  }
  return received == 0 ? SANDWIRE_ERROR_CLOSED : SANDWIRE_OK;
}

int sandwire_reader_fill(struct sandwire_reader *reader, int socket, int flags) {
  if (reader->failure) {
    return reader->failure;
  }
  int error = sandwire_reader_make_room(reader);
  if (error) {
    return error;
  }
  size_t size = reader->capacity - reader->end;
  if (reader->pending_fd >= 0) { /* of a header that came in part */
    size_t missing = sandwire_reader_missing(reader);
    size = missing > 0 && missing < size ? missing : size;
  }
  struct sandwire_arrived_fds arrived;
  ssize_t received =
      sandwire_socket_receive_credentials(socket, reader->buffer + reader->end, size, flags, &arrived,
                                          reader->wants_credentials ? &reader->credentials : NULL);
  return sandwire_reader_accept(reader, received, &arrived);
}

static bool carries_fd(uint32_t tag) {
  return tag == SANDWIRE_TAG_FD || tag == SANDWIRE_TAG_COMMS_UPGRADE;
}

bool sandwire_reader_has_stray_fd(const struct sandwire_reader *reader) {
  uint32_t tag = 0;
  uint64_t length = 0;
  return sandwire_reader_peek_header(reader, &tag, &length) > 0 && !carries_fd(tag) &&
         reader->pending_fd >= 0 &&
         reader->pending_end <= reader->start + SANDWIRE_HEADER_SIZE + (size_t)length;
}

int sandwire_reader_next(struct sandwire_reader *reader, struct sandwire_message *message) {
  uint32_t tag = 0;
  uint64_t length = 0;
  int peeked = sandwire_reader_peek_header(reader, &tag, &length);
  if (peeked <= 0) {
    return peeked;
  }
  size_t unread = reader->end - reader->start;
  size_t size = SANDWIRE_HEADER_SIZE + (size_t)length;
  bool holds_end_of_chunk = reader->pending_fd >= 0 && reader->pending_end <= reader->start + size;
  if (carries_fd(tag)) {
    if (length != 0) {
      return -fail(reader, SANDWIRE_ERROR_BAD_LENGTH);
    }
    if (!holds_end_of_chunk) {
      return -fail(reader, SANDWIRE_ERROR_NO_FD);
    }
  } else if (sandwire_reader_has_stray_fd(reader)) {
    return -fail(reader, SANDWIRE_ERROR_SURPLUS_FD); /* known as soon as the header is, payload or not */
  }
  if (unread < size) {
    return 0;
  }

  *message = (struct sandwire_message){
      .tag = tag,
      .payload = reader->buffer + reader->start + SANDWIRE_HEADER_SIZE,
      .length = (size_t)length,
      .fd = -1,
  };
  if (carries_fd(tag)) {
    message->fd = reader->pending_fd;
    reader->pending_fd = -1;
  }
  sandwire_reader_skip(reader, size);
  return 1;
}

void sandwire_reader_skip(struct sandwire_reader *reader, size_t size) {
  reader->start += size;
  if (reader->start == reader->end && reader->pending_fd < 0) {
    /* The bytes stay where they are, so a payload borrowed from here is valid until the next fill. */
    reader->start = reader->end = 0;
  }
}

bool sandwire_reader_is_mid_message(const struct sandwire_reader *reader) {
  return reader->end > reader->start;
}
