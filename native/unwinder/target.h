/* What is read of the process that is unwound: its memory, its map, the files mapped into it. All of it is
 * the sandboxee's to forge; nothing here trusts a size or an address.
 *
 * target_open() runs with the supervisor's privileges and only copies and opens. Everything else runs in the
 * jail. */
#ifndef UNWINDER_TARGET_H
#define UNWINDER_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_MAPPINGS = 65536, MAX_IMAGES = 512, MAX_OPEN_FILES = 128, IMAGE_PATH_SIZE = 256 };

/* A file, or the vdso, that is mapped executable. */
struct image {
  uint64_t inode;
  unsigned device_major, device_minor;
  char path[IMAGE_PATH_SIZE];
  int file;        /* -1: could not be opened */
  uint64_t memory; /* where its beginning is mapped; 0: nowhere */
  bool looked_at;  /* the members below are there */
  bool has_bias;
  uint64_t bias;                /* address in memory - address in the file */
  uint64_t frame_header;        /* address of .eh_frame_hdr; 0: none */
  uint64_t frames, frames_size; /* .eh_frame by the section headers; 0: none */
};

/* Executable mappings, ascending. */
struct mapping {
  uint64_t start, end, offset;
  int image; /* -1: anonymous */
};

/* By any thread that stands still. False when there is nothing to read. */
bool target_open(pid_t tid);

/* Set where the map was too long to be read to its end. */
extern bool target_map_is_cut;

/* Every fd that is to stay open. */
size_t target_fds(int *fds, size_t capacity);

const struct mapping *target_find(uint64_t address);
struct image *target_image(const struct mapping *mapping);

/* From memory, through a cache; false where it cannot be read. */
bool target_read(uint64_t address, void *into, size_t size);

/* From an image's file, or for one that is whole in memory (the vdso) from there. */
bool image_read(const struct image *image, uint64_t offset, void *into, size_t size);

#endif
