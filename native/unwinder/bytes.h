/* Reads numbers one after the other from the target's memory. After the first failure every number is zero.
 */
#ifndef UNWINDER_BYTES_H
#define UNWINDER_BYTES_H

#include <stdbool.h>
#include <stdint.h>

struct bytes {
  uint64_t at, end;
  bool failed;
};

uint64_t bytes_unsigned(struct bytes *bytes, unsigned size); /* size 1, 2, 4 or 8 */
int64_t bytes_signed(struct bytes *bytes, unsigned size);
uint64_t bytes_uleb(struct bytes *bytes);
int64_t bytes_sleb(struct bytes *bytes);
void bytes_skip(struct bytes *bytes, uint64_t count);

/* A pointer in a DW_EH_PE_… encoding. data: the base of data-relative ones. */
uint64_t bytes_pointer(struct bytes *bytes, uint8_t encoding, uint64_t data);

#endif
