/* Where an image keeps what unwinding needs. Runs in the jail: an ELF file is the sandboxee's to forge. */
#ifndef UNWINDER_IMAGE_H
#define UNWINDER_IMAGE_H

#include <elf.h>

#include "target.h"

enum { MAX_SECTIONS = 512 };

/* Fills bias, frame_header and frames, once. mapping: one of the image. */
void image_look_at(struct image *image, const struct mapping *mapping);

/* False when it has no section headers, or none that make sense. */
bool image_sections(const struct image *image, Elf64_Shdr *sections, size_t *count, size_t *names);

#endif
