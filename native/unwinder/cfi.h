/* Call frame information (.eh_frame): from the registers in a function to those in its caller. The format is
 * that of the Linux Standard Base, "Exception Frames", and of DWARF 5, section 6.4. Runs in the jail. */
#ifndef UNWINDER_CFI_H
#define UNWINDER_CFI_H

#include "registers.h"
#include "target.h"

enum cfi_outcome {
  CFI_STEPPED,
  CFI_OUTERMOST, /* the entry says that this function has no caller */
  CFI_NONE,      /* no usable entry exists for this address */
};

/* lookup: the address to look up: that of the call, if registers->pc is its return address. is_signal is set
 * if a signal interrupted the caller: then its pc is not a return address. */
enum cfi_outcome cfi_step(const struct image *image, uint64_t lookup, struct registers *registers,
                          bool *is_signal);

#endif
