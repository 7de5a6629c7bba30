/* What the arguments of a stopped syscall point at. To read another process's memory is to wait for its mmap
 * lock (process_vm_rw_single_vec() in the kernel's process_vm_access.c), which the threads of that process
 * can keep taken, and for the file system behind a page of a file: as long as a sandboxee likes. So it is
 * read by a process that has nothing else to do, one for each run that needs it, which is killed when it
 * takes too long. One that is left over is kept a while for the next. Runs in the supervisor. */
#ifndef SUPERVISOR_MEMORY_READER_H
#define SUPERVISOR_MEMORY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/deadlines.h"

/* A path is no longer (PATH_MAX). */
enum { ARGUMENT_MEMORY_SIZE = 4096 };

/* Bytes read at an argument taken as an address; size 0: it is none, or nothing could be read (in time). */
struct argument_memory {
  size_t size;
  const unsigned char *bytes;
};

struct memory_reading;
struct reading_process;

/* Of one run; all zero at first. */
struct memory_reader {
  struct reading_process *process; /* NULL: there is none (any more) */
  struct memory_reading *first;    /* is being read; the others wait for their turn */
  struct deadline deadline;
};

/* One wish, a part of who has it. */
struct memory_reading {
  struct memory_reader *reader; /* NULL: nothing is wished (any more) */
  struct memory_reading *next;
  /* Called once, not before memory_reader_read() returns; the bytes are gone when it returns. */
  void (*done)(struct memory_reading *reading, const struct argument_memory memory[6]);
  pid_t tid;
  uint64_t addresses[6];
  size_t size; /* for each; up to ARGUMENT_MEMORY_SIZE */
};

/* Whether any of the addresses may be one. */
bool memory_reading_is_needed(const struct memory_reading *reading);

/* Reads, in its turn; done, tid, addresses and size are set. False: that cannot be. */
bool memory_reader_read(struct memory_reader *reader, struct memory_reading *reading);

/* Nothing of it is wished for any more. */
void memory_reading_cancel(struct memory_reading *reading);

void memory_reader_destroy(struct memory_reader *reader);

#endif
