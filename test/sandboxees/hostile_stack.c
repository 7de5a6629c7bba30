/* hostile_stack HOW: crashes with memory made to lead an unwinder astray.
 *
 * HOW  nowhere (the stack pointer leads nowhere), loop (a frame that is its own caller), garbage (a stack
 * full of addresses of code), mappings (as many as one can have), signals (many, handled), busy (the same,
 * then a crash), threads (many), twice (all threads at once), stop (stops itself, and is continued by its
 * child) */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noreturn)) static void crash_at(uintptr_t stack, uintptr_t frame) {
#if defined(__x86_64__)
  __asm__ volatile("mov %0, %%rsp\n mov %1, %%rbp\n ud2" : : "r"(stack), "r"(frame));
#else
  __asm__ volatile("mov sp, %0\n mov x29, %1\n udf #0" : : "r"(stack), "r"(frame));
#endif
  __builtin_unreachable();
}

static void on_signal(int signal) {
  (void)signal;
}

static pthread_barrier_t barrier;

static void *crash_together(void *argument) {
  (void)argument;
  pthread_barrier_wait(&barrier);
  __builtin_trap();
}

static void *end_at_once(void *argument) {
  return argument;
}

static void many_threads(int count, void *(*function)(void *), int at_once) {
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, NULL) == 0 && !at_once) {
      pthread_join(thread, NULL);
    }
  }
}

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  static uintptr_t frames[65536];
  if (strcmp(how, "nowhere") == 0) {
    crash_at(0xdeadbeef000, 0xfffffffffffffff8);
  } else if (strcmp(how, "loop") == 0) {
    frames[0] = (uintptr_t)frames;
    frames[1] = (uintptr_t)main + 1;
    crash_at((uintptr_t)frames, (uintptr_t)frames);
  } else if (strcmp(how, "garbage") == 0) {
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
      frames[i] = (uintptr_t)main + i % 4096;
    }
    crash_at((uintptr_t)frames, (uintptr_t)frames);
  } else if (strcmp(how, "mappings") == 0) {
    for (;;) { /* two differing neighbours are two mappings */
      char *pages = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (pages == MAP_FAILED || mprotect(pages, 4096, PROT_READ | PROT_WRITE) != 0) {
        break;
      }
    }
  } else if (strcmp(how, "signals") == 0 || strcmp(how, "busy") == 0) {
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 20000; i++) {
      raise(SIGUSR1);
    }
    if (strcmp(how, "signals") == 0) {
      puts("done");
      return 0;
    }
  } else if (strcmp(how, "stop") == 0) {
    if (fork() == 0) {
      for (;;) { /* until it has ended, and this process with it */
        usleep(50000);
        kill(getppid(), SIGCONT);
      }
    }
    raise(SIGSTOP);
    puts("done");
    return 0;
  } else if (strcmp(how, "threads") == 0) {
    many_threads(500, end_at_once, 0);
    puts("done");
    return 0;
  } else if (strcmp(how, "twice") == 0) {
    pthread_barrier_init(&barrier, NULL, 20);
    many_threads(20, crash_together, 1);
    pause();
  }
  __builtin_trap();
}
