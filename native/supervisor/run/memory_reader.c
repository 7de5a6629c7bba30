#include "memory_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/event_loop.h"
#include "loop/process.h"
#include "privileges.h"

/* Below this nothing is ever mapped (vm.mmap_min_addr), and most arguments are numbers below it. */
enum { LOWEST_ADDRESS = 65536 };

/* It takes some microseconds. */
static const uint64_t patience_ns = 100000000u;

/* Of one that no run needs. */
static const uint64_t lifetime_ns = 5000000000u;

struct reading_process {
  struct process process;
  struct watch socket;
  struct memory_reader *reader; /* NULL: it is being killed */
};

/* Keeps the process that no run needs. */
static struct memory_reader idle;

struct wish {
  pid_t tid;
  uint32_t size;
  uint64_t addresses[6];
};

struct found {
  uint32_t sizes[6];
  unsigned char bytes[6][ARGUMENT_MEMORY_SIZE]; /* each as long as its size, one behind the other */
};

/* ---- in the process that reads, with the supervisor's privileges ---- */

static bool may_be_address(uint64_t value) {
  return value >= LOWEST_ADDRESS && value < UINT64_MAX - ARGUMENT_MEMORY_SIZE;
}

static size_t read_memory(pid_t tid, uint64_t address, unsigned char *into, size_t size) {
  if (!may_be_address(address)) {
    return 0;
  }
  /* A part for each page: reading stops before the first that is not mapped (process_vm_readv(2)). */
  enum { PARTS = 3 };
  const uint64_t page = 4096;
  struct iovec local = {into, size};
  struct iovec remote[PARTS];
  unsigned long parts = 0;
  for (size_t done = 0; done < size && parts < PARTS; parts++) {
    size_t length = (size_t)(page - (address + done) % page);
    if (length > size - done) {
      length = size - done;
    }
    remote[parts] = (struct iovec){(void *)(uintptr_t)(address + done), length};
    done += length;
  }
  ssize_t count = process_vm_readv(tid, &local, 1, remote, parts, 0);
  return count > 0 ? (size_t)count : 0;
}

/* The host knows which arguments are addresses: it has the table of syscalls. Here every one that could be an
 * address is tried. Returns how many bytes of `found` are to be sent. */
static size_t find(const struct wish *wish, struct found *found) {
  unsigned char *end = found->bytes[0];
  for (int i = 0; i < 6; i++) {
    found->sizes[i] = (uint32_t)read_memory(wish->tid, wish->addresses[i], end, wish->size);
    end += found->sizes[i];
  }
  return (size_t)(end - (unsigned char *)found);
}

_Noreturn static void read_for(int socket, pid_t supervisor) {
  static struct found found;
  struct wish wish;
  /* A copy of any other fd would keep open what the supervisor closes. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != supervisor ||
      sandwire_close_all_fds_but((const int[]){socket}, 1) != 0) {
    _exit(1);
  }
  (void)prctl(PR_SET_NAME, "sandwire-reader", 0, 0, 0); /* shown in lists of processes */
  while (read(socket, &wish, sizeof(wish)) == (ssize_t)sizeof(wish)) {
    const size_t size = find(&wish, &found);
    if (write(socket, &found, size) != (ssize_t)size) {
      break;
    }
  }
  _exit(0);
}

/* ---- in the supervisor ---- */

static void on_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  struct reading_process *reading = (struct reading_process *)process; /* its first member */
  if (reading->reader == NULL) {
    free(reading);
  } /* otherwise the end of its socket is an event of its own */
}

/* Its process is not needed any more, whatever it is doing. */
static void give_up(struct memory_reader *reader) {
  struct reading_process *process = reader->process;
  reader->process = NULL;
  deadline_clear(&reader->deadline);
  if (process == NULL) {
    return;
  }
  event_loop_close(&process->socket);
  process->reader = NULL;
  if (process->process.pid == 0) {
    free(process);
  } else {
    process_kill(&process->process);
  }
}

static void go_on(struct memory_reader *reader);

/* The first is done. Its owner may be gone after this, and the reader with it. */
static void finish(struct memory_reader *reader, const struct argument_memory memory[6]) {
  struct memory_reading *reading = reader->first;
  deadline_clear(&reader->deadline);
  reader->first = reading->next;
  reading->reader = NULL;
  if (reader->first != NULL) {
    go_on(reader);
  }
  reading->done(reading, memory);
}

static void finish_without(struct memory_reader *reader) {
  static const struct argument_memory nothing[6];
  give_up(reader);
  finish(reader, nothing);
}

static void on_overdue(struct deadline *deadline) {
  finish_without((struct memory_reader *)((char *)deadline - offsetof(struct memory_reader, deadline)));
}

static void on_found(struct watch *watch, uint32_t events) {
  (void)events;
  static struct found found;
  struct reading_process *process =
      (struct reading_process *)((char *)watch - offsetof(struct reading_process, socket));
  struct memory_reader *reader = process->reader;
  const ssize_t size = recv(watch->fd, &found, sizeof(found), MSG_DONTWAIT);
  if (reader->first == NULL) { /* it was killed: nothing was requested */
    give_up(reader);
    return;
  }
  size_t end = sizeof(found.sizes);
  struct argument_memory memory[6];
  for (int i = 0; i < 6 && size >= (ssize_t)sizeof(found.sizes); i++) {
    memory[i] = (struct argument_memory){found.sizes[i], (unsigned char *)&found + end};
    end += found.sizes[i];
  }
  if (size == (ssize_t)end) {
    finish(reader, memory);
  } else {
    finish_without(reader);
  }
}

static struct reading_process *fork_process(struct memory_reader *reader) {
  int pair[2];
  struct reading_process *process = calloc(1, sizeof(*process));
  if (process == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    free(process);
    return NULL;
  }
  process_init(&process->process);
  process->socket.fd = -1;
  process->reader = reader;
  const pid_t self = getpid();
  const pid_t pid = process_fork();
  if (pid == 0) {
    read_for(pair[1], self);
  }
  close(pair[1]);
  if (event_loop_add(&process->socket, pair[0], EPOLLIN, on_found) != 0) {
    close(pair[0]);
    process->reader = NULL; /* and its process, if there is one, ends by the end of its socket */
  }
  if (pid < 0 || !process_watch(&process->process, pid, on_end)) {
    event_loop_close(&process->socket);
    free(process);
    return NULL;
  }
  return process->reader == NULL ? NULL : process;
}

static void on_expiry(struct deadline *deadline) {
  (void)deadline;
  give_up(&idle);
}

static void hand_over(struct memory_reader *from, struct memory_reader *to) {
  deadline_clear(&from->deadline);
  to->process = from->process;
  from->process = NULL;
  to->process->reader = to;
}

/* True if the first is being read now. */
static bool begin(struct memory_reader *reader) {
  const struct memory_reading *reading = reader->first;
  if (reader->process == NULL && idle.process != NULL) {
    hand_over(&idle, reader);
  }
  if (reader->process == NULL) {
    reader->process = fork_process(reader);
  }
  if (reader->process == NULL ||
      deadline_set(&reader->deadline, monotonic_now_ns() + patience_ns, on_overdue) != 0) {
    return false;
  }
  struct wish wish = {.tid = reading->tid, .size = (uint32_t)reading->size};
  memcpy(wish.addresses, reading->addresses, sizeof(wish.addresses));
  /* EPIPE: it was killed, which is the next event. */
  (void)send(reader->process->socket.fd, &wish, sizeof(wish), MSG_DONTWAIT | MSG_NOSIGNAL);
  return true;
}

/* Without a process for it, it is overdue at once. */
static void go_on(struct memory_reader *reader) {
  if (!begin(reader) && deadline_set(&reader->deadline, 0, on_overdue) != 0) {
    finish_without(reader);
  }
}

bool memory_reading_is_needed(const struct memory_reading *reading) {
  int i = 0;
  while (i < 6 && !may_be_address(reading->addresses[i])) {
    i++;
  }
  return i < 6;
}

bool memory_reader_read(struct memory_reader *reader, struct memory_reading *reading) {
  struct memory_reading **link = &reader->first;
  while (*link != NULL) {
    link = &(*link)->next;
  }
  *link = reading;
  reading->next = NULL;
  reading->reader = reader;
  if (reader->first == reading && !begin(reader)) {
    reader->first = NULL;
    reading->reader = NULL;
    return false;
  }
  return true;
}

void memory_reading_cancel(struct memory_reading *reading) {
  struct memory_reader *reader = reading->reader;
  if (reader == NULL) {
    return;
  }
  const bool is_being_read = reader->first == reading;
  struct memory_reading **link = &reader->first;
  while (*link != reading) {
    link = &(*link)->next;
  }
  *link = reading->next;
  reading->reader = NULL;
  if (is_being_read) {
    give_up(reader);
    if (reader->first != NULL) {
      go_on(reader);
    }
  }
}

void memory_reader_destroy(struct memory_reader *reader) {
  if (reader->process != NULL && reader->first == NULL && idle.process == NULL) {
    hand_over(reader, &idle);
    if (deadline_set(&idle.deadline, monotonic_now_ns() + lifetime_ns, on_expiry) != 0) {
      give_up(&idle);
    }
  } else {
    give_up(reader);
  }
}
