/* The threads of this process. */
#ifndef SANDWIRE_THREADS_H
#define SANDWIRE_THREADS_H

/* Returns the number of threads, or -1 with errno. Allocates nothing and takes no lock. */
int sandwire_count_threads(void);

#endif
