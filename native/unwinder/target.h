/* What is read from the unwound process: its memory, its map, the files mapped into it. The sandboxee can
 * forge all of it; nothing here trusts a size or an address.
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
  uint64_t memory; /* the address of its beginning; 0: not mapped */
  bool looked_at;  /* the members below are filled in */
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

/* tid: any thread that stands still. False if there is nothing to read. */
bool target_open(pid_t tid);

/* True if the map was too long to be read to its end. */
extern bool target_map_is_cut;

/* Every fd that must stay open. */
size_t target_fds(int *fds, size_t capacity);

const struct mapping *target_find(uint64_t address);
struct image *target_image(const struct mapping *mapping);

/* Reads memory, through a cache; false if it cannot be read. */
bool target_read(uint64_t address, void *into, size_t size);

/* Reads an image's file, or memory for an image that is entirely in memory (the vdso). */
bool image_read(const struct image *image, uint64_t offset, void *into, size_t size);

#endif
