/* DWARF expressions, as far as call frame information uses them (DWARF 5, section 2.5). Runs in the jail. */
#ifndef UNWINDER_EXPRESSION_H
#define UNWINDER_EXPRESSION_H

#include "registers.h"

/* Evaluates the program of size bytes at the address in the target, with initial on the stack if there is
 * any. False if it cannot be evaluated, or does not end. */
bool expression_evaluate(uint64_t address, uint64_t size, const struct registers *registers,
                         const uint64_t *initial, uint64_t *result);

#endif
