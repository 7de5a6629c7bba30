/* What the arguments of a stopped syscall point at. A read of another process's memory waits for that
 * process's mmap lock (process_vm_rw_single_vec() in the kernel's process_vm_access.c), which its threads can
 * hold for as long as they like, and for the file system behind a page of a file. So memory is read by a
 * process of its own, the memory reader: one for each run that needs it, killed when it takes too long. When
 * its run has ended, one is kept for a while for the next run. Runs in the supervisor. */
#ifndef SUPERVISOR_MEMORY_READER_H
#define SUPERVISOR_MEMORY_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/deadlines.h"

/* A path is no longer (PATH_MAX). */
enum { ARGUMENT_MEMORY_SIZE = 4096 };

/* Bytes read at an argument taken as an address; size 0: it is no address, or nothing could be read in time.
 */
struct argument_memory {
  size_t size;
  const unsigned char *bytes;
};

struct memory_reading;
struct reading_process;

/* Of one run; all zero at first. */
struct memory_reader {
  struct reading_process *process; /* NULL: there is none */
  struct memory_reading *first;    /* is being read; the others wait */
  struct deadline deadline;
};

/* One request, embedded in the object that has it. */
struct memory_reading {
  struct memory_reader *reader; /* NULL: it is not requested, or done */
  struct memory_reading *next;
  /* Called once, not before memory_reader_read() returns; the bytes are gone when it returns. */
  void (*done)(struct memory_reading *reading, const struct argument_memory memory[6]);
  pid_t tid;
  uint64_t addresses[6];
  size_t size; /* for each; up to ARGUMENT_MEMORY_SIZE */
};

/* True if one of the addresses may be one. */
bool memory_reading_is_needed(const struct memory_reading *reading);

/* Reads, in its turn; done, tid, addresses and size are set before. False: that is not possible. */
bool memory_reader_read(struct memory_reader *reader, struct memory_reading *reading);

/* It is not needed any more. */
void memory_reading_cancel(struct memory_reading *reading);

void memory_reader_destroy(struct memory_reader *reader);

#endif
