#include "protobuf.h"

#include "check.h"

static void writes_what_it_reads(void) {
  uint8_t buffer[256];
  struct sandwire_protobuf_writer writer;
  sandwire_protobuf_writer_init(&writer, buffer, sizeof buffer);
  sandwire_protobuf_put_varint(&writer, 1, 0);
  sandwire_protobuf_put_varint(&writer, 2, UINT64_MAX);
  sandwire_protobuf_put_varint(&writer, 297070138, 300);
  sandwire_protobuf_put_bytes(&writer, 3, "abc", 3);
  sandwire_protobuf_put_bytes(&writer, 4, NULL, 0);
  CHECK(!writer.overflow);

  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, buffer, writer.size);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.number == 1 && field.value == 0);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.number == 2 && field.value == UINT64_MAX);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.number == 297070138 && field.value == 300);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.wire_type == 2 && field.size == 3 &&
        memcmp(field.bytes, "abc", 3) == 0);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.number == 4 && field.size == 0);
  CHECK(!sandwire_protobuf_next(&reader, &field) && !reader.malformed);
}

static void overflow_leaves_whole_fields(void) {
  uint8_t buffer[8];
  struct sandwire_protobuf_writer writer;
  sandwire_protobuf_writer_init(&writer, buffer, sizeof buffer);
  sandwire_protobuf_put_bytes(&writer, 1, "abc", 3);
  sandwire_protobuf_put_bytes(&writer, 2, "defg", 4);
  CHECK(writer.overflow);
  CHECK_EQUAL(5, writer.size);
  sandwire_protobuf_put_varint(&writer, 3, 1);
  CHECK_EQUAL(5, writer.size);
}

static void reads_fixed_fields(void) {
  const uint8_t bytes[] = {0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4};
  struct sandwire_protobuf_reader reader;
  struct sandwire_protobuf_field field;
  sandwire_protobuf_reader_init(&reader, bytes, sizeof bytes);
  CHECK(sandwire_protobuf_next(&reader, &field) && field.wire_type == 1 &&
        field.value == UINT64_C(0x0807060504030201));
  CHECK(sandwire_protobuf_next(&reader, &field) && field.wire_type == 5 && field.value == 0x04030201);
  CHECK(!sandwire_protobuf_next(&reader, &field) && !reader.malformed);
}

static void refuses_what_is_malformed(void) {
  static const struct {
    uint8_t bytes[12];
    size_t size;
  } cases[] = {
      {{0x80}, 1},                                                              /* key cut short */
      {{0x08}, 1},                                                              /* value missing */
      {{0x0a, 5, 'a'}, 3},                                                      /* longer than the buffer */
      {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11}, /* 2^64-1 bytes */
      {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* more than 64 bits */
      {{0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 12}, /* eleven bytes */
      {{0x00, 1}, 2},                                                              /* field 0 */
      {{0x0b}, 1},                                                                 /* group */
      {{0x0f}, 1},                                                                 /* wire type 7 */
      {{0x09, 1, 2}, 3},                                                           /* fixed 64 cut short */
      {{0x0d, 1, 2}, 3},                                                           /* fixed 32 cut short */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct sandwire_protobuf_reader reader;
    struct sandwire_protobuf_field field;
    sandwire_protobuf_reader_init(&reader, cases[i].bytes, cases[i].size);
    CHECK(!sandwire_protobuf_next(&reader, &field) && reader.malformed);
    CHECK(!sandwire_protobuf_next(&reader, &field));
  }
}

int main(void) {
  writes_what_it_reads();
  overflow_leaves_whole_fields();
  reads_fixed_fields();
  refuses_what_is_malformed();
  return report_checks();
}
