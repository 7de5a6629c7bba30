/* Names of functions, from the symbol tables of ELF files. Runs in the jail. */
#ifndef UNWINDER_SYMBOLS_H
#define UNWINDER_SYMBOLS_H

#include <stddef.h>

#include "walk.h"

/* Finds the name of every frame that has one, in one pass over the tables of each image. frames: pointers to
 * the frames; their order is changed. */
void symbols_name(struct frame **frames, size_t count);

#endif
