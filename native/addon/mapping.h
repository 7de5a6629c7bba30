// What others than mapping.cc need of shared memory.
#ifndef SANDWIRE_ADDON_MAPPING_H
#define SANDWIRE_ADDON_MAPPING_H

#include <cstddef>

namespace sandwire {

struct Grown {
  int error;            // 0: none
  const char *syscall;  // that had it
  size_t size;          // in bytes
};

// Makes a buffer at least so large; 0: looks how large it is. Waits for whoever writes to it meanwhile: the
// file is locked by a write(2) or fallocate(2) of the other side.
Grown GrowBuffer(int fd, size_t size);

}  // namespace sandwire

#endif
