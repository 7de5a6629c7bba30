/* The part of the protobuf wire format that sandwire's own messages need: varints and length-delimited
 * fields. Reader and writer are bounded by their buffer and allocate nothing. */
#ifndef SANDWIRE_PROTOBUF_H
#define SANDWIRE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_protobuf_reader {
  const uint8_t *at, *end;
  bool malformed; /* set when sandwire_protobuf_next stopped before the end */
};

struct sandwire_protobuf_field {
  uint32_t number;
  uint32_t wire_type;   /* 0 varint, 1 fixed 64, 2 length-delimited, 5 fixed 32 */
  uint64_t value;       /* wire types 0, 1 and 5 */
  const uint8_t *bytes; /* wire type 2, borrowed from the reader's buffer */
  size_t size;
};

void sandwire_protobuf_reader_init(struct sandwire_protobuf_reader *reader, const void *bytes, size_t size);

/* The next field, unknown ones included; false at the end and on malformed input. */
bool sandwire_protobuf_next(struct sandwire_protobuf_reader *reader, struct sandwire_protobuf_field *field);

struct sandwire_protobuf_writer {
  uint8_t *buffer;
  size_t capacity;
  size_t size;
  bool overflow; /* set when a field did not fit; the fields before it stay, and nothing more is added */
};

void sandwire_protobuf_writer_init(struct sandwire_protobuf_writer *writer, void *buffer, size_t capacity);
void sandwire_protobuf_put_varint(struct sandwire_protobuf_writer *writer, uint32_t field, uint64_t value);
void sandwire_protobuf_put_bytes(struct sandwire_protobuf_writer *writer, uint32_t field, const void *bytes,
                                 size_t size);

/* Repeated scalars: parsers must take both forms, packed (as proto3 writes them) and one field each. */

#ifdef __cplusplus
}
#endif

#endif
