/* Call frame information (.eh_frame): from the registers in a function to those in its caller. The format is
 * that of the Linux Standard Base, "Exception Frames", and of DWARF 5, section 6.4. Runs in the jail. */
#ifndef UNWINDER_CFI_H
#define UNWINDER_CFI_H

#include "registers.h"
#include "target.h"

enum cfi_outcome {
  CFI_STEPPED,
  CFI_OUTERMOST, /* it says that nobody called this */
  CFI_NONE,      /* there is none for this address, or none that can be followed */
};

/* lookup: the address to look up: that of the call, where registers->pc is where it returns to. is_signal is
 * set when the caller is what a signal interrupted: its pc is then no return address. */
enum cfi_outcome cfi_step(const struct image *image, uint64_t lookup, struct registers *registers,
                          bool *is_signal);

#endif
