/* Finds the parts of an image that unwinding needs. Runs in the jail: the sandboxee can forge an ELF file. */
#ifndef UNWINDER_IMAGE_H
#define UNWINDER_IMAGE_H

#include <elf.h>

#include "target.h"

enum { MAX_SECTIONS = 512 };

/* Fills bias, frame_header and frames, once. mapping: one of the image's. */
void image_look_at(struct image *image, const struct mapping *mapping);

/* False if the image has no valid section headers. */
bool image_sections(const struct image *image, Elf64_Shdr *sections, size_t *count, size_t *names);

#endif
