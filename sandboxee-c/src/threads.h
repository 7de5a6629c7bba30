/* The threads of this process. */
#ifndef SANDWIRE_THREADS_H
#define SANDWIRE_THREADS_H

/* How many there are, or -1 with errno. Takes no memory and no lock. */
int sandwire_count_threads(void);

#endif
