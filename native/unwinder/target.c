#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PAGE = 4096, CACHED_PAGES = 256, MAP_LIMIT = 32 * 1024 * 1024, LINE_SIZE = 8192 };

bool target_map_is_cut;

static int memory_fd = -1;
static struct mapping mappings[MAX_MAPPINGS];
static size_t mapping_count;
static struct image images[MAX_IMAGES];
static size_t image_count;
static size_t open_files;

/* ---- with privileges ---- */

struct map_line {
  unsigned long start, end, offset, inode;
  char mode[5];
  unsigned device_major, device_minor;
  const char *path;
};

static bool parse_line(char *line, struct map_line *parsed) {
  int path = -1;
  if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %n", &parsed->start, &parsed->end, parsed->mode,
             &parsed->offset, &parsed->device_major, &parsed->device_minor, &parsed->inode, &path) != 7 ||
      path < 0) {
    return false;
  }
  parsed->path = line + path;
  return true;
}

static int image_of(const struct map_line *line) {
  const bool is_vdso = strcmp(line->path, "[vdso]") == 0;
  if (line->inode == 0 && !is_vdso) {
    return -1;
  }
  for (size_t i = image_count; i > 0; i--) {
    const struct image *image = &images[i - 1];
    if (image->inode == line->inode && image->device_major == line->device_major &&
        image->device_minor == line->device_minor) {
      return (int)(i - 1);
    }
  }
  if (image_count == MAX_IMAGES) {
    return -1;
  }
  struct image *image = &images[image_count];
  image->inode = line->inode;
  image->device_major = line->device_major;
  image->device_minor = line->device_minor;
  image->file = -1;
  snprintf(image->path, sizeof(image->path), "%s", line->path);
  return (int)image_count++;
}

/* The line of an image's first page, which comes before its executable ones, kept from the line before. */
static struct map_line beginning;
static char beginning_path[IMAGE_PATH_SIZE];

static void take_line(char *text) {
  struct map_line line;
  if (!parse_line(text, &line)) {
    return;
  }
  if (line.offset == 0 && line.inode != 0) {
    beginning = line;
    snprintf(beginning_path, sizeof(beginning_path), "%s", line.path);
  }
  if (line.mode[2] != 'x') {
    return;
  }
  if (mapping_count == MAX_MAPPINGS) {
    target_map_is_cut = true;
    return;
  }
  struct mapping *mapping = &mappings[mapping_count++];
  *mapping = (struct mapping){line.start, line.end, line.offset, image_of(&line)};
  if (mapping->image >= 0 && images[mapping->image].memory == 0) {
    struct image *image = &images[mapping->image];
    if (line.offset == 0) {
      image->memory = line.start;
    } else if (beginning.inode == line.inode && beginning.device_major == line.device_major &&
               beginning.device_minor == line.device_minor) {
      image->memory = beginning.start;
    }
  }
}

static bool read_map(pid_t tid) {
  static char buffer[LINE_SIZE + 1];
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/maps", (int)tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  size_t held = 0, total = 0;
  ssize_t count;
  while (total < MAP_LIMIT && (count = read(fd, buffer + held, LINE_SIZE - held)) > 0) {
    total += (size_t)count;
    held += (size_t)count;
    char *line = buffer, *end;
    while ((end = memchr(line, '\n', held - (size_t)(line - buffer))) != NULL) {
      *end = '\0';
      take_line(line);
      line = end + 1;
    }
    held -= (size_t)(line - buffer);
    memmove(buffer, line, held);
    if (held == LINE_SIZE) {
      held = 0; /* no valid line is that long */
    }
  }
  target_map_is_cut = target_map_is_cut || total >= MAP_LIMIT;
  close(fd);
  return true;
}

static bool is_file_of(int fd, const struct image *image) {
  struct stat status;
  /* Not the device: for overlay and btrfs the map shows another one than stat. */
  return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == image->inode;
}

/* Opens an image by its path in the sandbox. The path may lead anywhere, so it is looked up below the
 * sandbox's root only, and opened only once it is known to be a regular file and the right one. */
static int open_in_root(int root, const struct image *image) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int found = (int)syscall(SYS_openat2, root, image->path, &how, sizeof(how));
  int file = -1;
  if (is_file_of(found, image)) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
    file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
  if (found >= 0) {
    close(found);
  }
  return file;
}

static void open_files_of_images(pid_t tid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/root", (int)tid);
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  snprintf(path, sizeof(path), "/proc/%d/exe", (int)tid);
  int program = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* whatever its present name is */
  for (size_t i = 0; i < image_count && open_files < MAX_OPEN_FILES; i++) {
    struct image *image = &images[i];
    if (image->inode == 0) {
      continue;
    }
    if (program >= 0 && is_file_of(program, image)) {
      image->file = program;
      program = -1;
    } else if (root >= 0) {
      image->file = open_in_root(root, image);
    }
    open_files += image->file >= 0;
  }
  if (program >= 0) {
    close(program);
  }
  if (root >= 0) {
    close(root);
  }
}

bool target_open(pid_t tid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
  memory_fd = open(path, O_RDONLY | O_CLOEXEC);
  if (memory_fd < 0 || !read_map(tid)) {
    return false;
  }
  open_files_of_images(tid);
  return true;
}

size_t target_fds(int *fds, size_t capacity) {
  size_t count = 0;
  if (memory_fd >= 0 && count < capacity) {
    fds[count++] = memory_fd;
  }
  for (size_t i = 0; i < image_count && count < capacity; i++) {
    if (images[i].file >= 0) {
      fds[count++] = images[i].file;
    }
  }
  return count;
}

/* ---- in the jail ---- */

const struct mapping *target_find(uint64_t address) {
  size_t low = 0, high = mapping_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (address < mappings[middle].start) {
      high = middle;
    } else if (address >= mappings[middle].end) {
      low = middle + 1;
    } else {
      return &mappings[middle];
    }
  }
  return NULL;
}

struct image *target_image(const struct mapping *mapping) {
  return mapping == NULL || mapping->image < 0 ? NULL : &images[mapping->image];
}

/* Page numbers plus one; 0: unused. A page that cannot be read is cached as such. */
static uint64_t cached_page[CACHED_PAGES];
static bool cached_readable[CACHED_PAGES];
static unsigned char cache[CACHED_PAGES][PAGE];

bool target_read(uint64_t address, void *into, size_t size) {
  unsigned char *out = into;
  while (size > 0) {
    const uint64_t page = address / PAGE;
    const size_t slot = page % CACHED_PAGES, at = address % PAGE;
    if (page > (uint64_t)INT64_MAX / PAGE) {
      return false; /* pread(2) accepts no larger offset, and there is no user memory above */
    }
    if (cached_page[slot] != page + 1) {
      cached_page[slot] = page + 1;
      cached_readable[slot] = pread(memory_fd, cache[slot], PAGE, (off_t)(page * PAGE)) == PAGE;
    }
    if (!cached_readable[slot]) {
      return false;
    }
    const size_t length = size < PAGE - at ? size : PAGE - at;
    memcpy(out, cache[slot] + at, length);
    out += length;
    address += length;
    size -= length;
  }
  return true;
}

bool image_read(const struct image *image, uint64_t offset, void *into, size_t size) {
  if (offset > (uint64_t)INT64_MAX - size) {
    return false;
  }
  if (image->file < 0) {
    return image->memory != 0 && offset <= UINT64_MAX - image->memory &&
           target_read(image->memory + offset, into, size);
  }
  size_t done = 0;
  while (done < size) {
    ssize_t count = pread(image->file, (char *)into + done, size - done, (off_t)(offset + done));
    if (count <= 0) {
      return false;
    }
    done += (size_t)count;
  }
  return true;
}
