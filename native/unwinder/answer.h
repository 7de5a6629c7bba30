/* Encodes the stack traces as a StackTraces message. Runs in the jail. */
#ifndef UNWINDER_ANSWER_H
#define UNWINDER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "walk.h"

void answer_begin(void);

/* False when there is no room for another thread. */
bool answer_add(int tid, const struct frame *frames, size_t count, enum walk_end end);

/* Sets the note about all stack traces; the last note counts. */
void answer_note(const char *note);

/* Writes the message to standard output. */
bool answer_send(void);

#endif
