#include "image.h"

#include <string.h>

enum { PAGE_MASK = 4095, MAX_SEGMENTS = 64 };

static bool read_header(const struct image *image, Elf64_Ehdr *header) {
  return image_read(image, 0, header, sizeof(*header)) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
         header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool image_sections(const struct image *image, Elf64_Shdr *sections, size_t *count, size_t *names) {
  Elf64_Ehdr header;
  if (!read_header(image, &header) || header.e_shoff == 0 || header.e_shentsize != sizeof(*sections) ||
      header.e_shnum == 0 || header.e_shnum > MAX_SECTIONS || header.e_shstrndx >= header.e_shnum ||
      !image_read(image, header.e_shoff, sections, header.e_shnum * sizeof(*sections))) {
    return false;
  }
  *count = header.e_shnum;
  *names = header.e_shstrndx;
  return true;
}

/* A static program has no .eh_frame_hdr: its table is found by name. */
static void find_frames(struct image *image) {
  static Elf64_Shdr sections[MAX_SECTIONS];
  size_t count, names;
  if (!image_sections(image, sections, &count, &names)) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    char name[sizeof(".eh_frame")];
    if ((sections[i].sh_flags & SHF_ALLOC) != 0 &&
        sections[names].sh_offset <= UINT64_MAX - sections[i].sh_name &&
        image_read(image, sections[names].sh_offset + sections[i].sh_name, name, sizeof(name)) &&
        memcmp(name, ".eh_frame", sizeof(name)) == 0) {
      image->frames = sections[i].sh_addr + image->bias;
      image->frames_size = sections[i].sh_size;
      return;
    }
  }
}

void image_look_at(struct image *image, const struct mapping *mapping) {
  if (image->looked_at) {
    return;
  }
  image->looked_at = true;
  Elf64_Ehdr header;
  Elf64_Phdr segments[MAX_SEGMENTS];
  if (!read_header(image, &header) || header.e_phentsize != sizeof(segments[0]) || header.e_phnum == 0 ||
      header.e_phnum > MAX_SEGMENTS ||
      !image_read(image, header.e_phoff, segments, header.e_phnum * sizeof(segments[0]))) {
    return;
  }
  for (size_t i = 0; i < header.e_phnum && !image->has_bias; i++) {
    const uint64_t offset = segments[i].p_offset & ~(uint64_t)PAGE_MASK;
    if (segments[i].p_type == PT_LOAD && offset <= mapping->offset &&
        mapping->offset - offset < segments[i].p_filesz + PAGE_MASK) {
      image->bias =
          mapping->start - (mapping->offset - offset) - (segments[i].p_vaddr & ~(uint64_t)PAGE_MASK);
      image->has_bias = true;
    }
  }
  for (size_t i = 0; i < header.e_phnum; i++) {
    if (segments[i].p_type == PT_GNU_EH_FRAME) {
      image->frame_header = segments[i].p_vaddr + image->bias;
    }
  }
  if (image->has_bias && image->frame_header == 0) {
    find_frames(image);
  }
}
