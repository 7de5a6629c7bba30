/* What closer.c needs of a listener. */
#ifndef SANDWIRE_LISTENER_PRIVATE_H
#define SANDWIRE_LISTENER_PRIVATE_H

#include <sys/types.h>

#include "sandwire/closer.h"

struct sandwire_listener {
  int fd;
  ino_t inode; /* of the file of a path; 0: none */
  struct sandwire_closer *closer;
  void (*close)(void *closer, int fd); /* by the closer; NULL: close() */
  void (*guard)(struct sandwire_comms *comms, struct sandwire_closer *closer);
  char address[];
};

#endif
