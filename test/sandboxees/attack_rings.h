/* What hostile code does with the rings of io_uring that it finds in its memory. */
#ifndef SANDWIRE_TEST_ATTACK_RINGS_H
#define SANDWIRE_TEST_ATTACK_RINGS_H

#include "ring.h"

/* As a process that is about to be forked knows its ring, so does its child. */
extern struct ring_parameters known_ring;
/* A file that the process whose ring it is shall make. */
extern char wanted_file[256];

/* The number of mappings of rings. Leaves a request in the known ring, for whoever enters it next. -1: it
 * cannot see its mappings. */
int attack_rings(void);

#endif
