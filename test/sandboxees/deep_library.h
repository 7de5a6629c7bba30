#ifndef DEEP_LIBRARY_H
#define DEEP_LIBRARY_H

/* Calls itself depth times, and then another function. */
int deep_recurse(int depth, int (*then)(void));

#endif
