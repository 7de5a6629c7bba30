#include "aside.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

/* The stack holds what the libraries of the process keep for each thread, too. */
enum { STACK_SIZE = 256 * 1024, SPARE_SECONDS = 5 };

struct sandwire_aside {
  pthread_mutex_t lock; /* held for a few instructions only */
  pthread_cond_t changed;
  struct sandwire_aside_job *first, **last;
  unsigned most_threads;
  unsigned threads;
  unsigned idle; /* of the threads, those that take the next job; one that is being made is among them */
  bool is_released;
};

struct sandwire_aside *sandwire_aside_create(unsigned most_threads) {
  struct sandwire_aside *aside = calloc(1, sizeof *aside);
  if (!aside) {
    return NULL;
  }
  aside->last = &aside->first;
  aside->most_threads = most_threads;
  pthread_condattr_t attributes;
  /* None of these can fail on Linux with what they are given here. */
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&aside->changed, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  (void)pthread_mutex_init(&aside->lock, NULL);
  return aside;
}

static void destroy(struct sandwire_aside *aside) {
  (void)pthread_cond_destroy(&aside->changed);
  (void)pthread_mutex_destroy(&aside->lock);
  free(aside);
}

/* With the lock held. False: a thread that has nothing to do may end. */
static bool await_job(struct sandwire_aside *aside) {
  struct timespec end;
  if (clock_gettime(CLOCK_MONOTONIC, &end) != 0) {
    return false; /* cannot be, for this clock */
  }
  end.tv_sec += SPARE_SECONDS;
  while (!aside->first && !aside->is_released) {
    bool is_spare = aside->idle > 1;
    int error = is_spare ? pthread_cond_timedwait(&aside->changed, &aside->lock, &end)
                         : pthread_cond_wait(&aside->changed, &aside->lock);
    if (error == ETIMEDOUT && !aside->first && aside->idle > 1) {
      return false;
    }
  }
  return aside->first != NULL;
}

static int make_thread(struct sandwire_aside *aside);

/* With the lock held. Whether a thread is to be made for the next job; it counts already. */
static bool reserve_thread(struct sandwire_aside *aside) {
  if (!aside->first || aside->idle > 0 || aside->threads >= aside->most_threads) {
    return false;
  }
  aside->threads++;
  aside->idle++;
  return true;
}

static void *work(void *argument) {
  struct sandwire_aside *aside = argument;
  (void)prctl(PR_SET_NAME, "sandwire-aside", 0, 0, 0);
  (void)pthread_mutex_lock(&aside->lock);
  while (await_job(aside)) {
    struct sandwire_aside_job *job = aside->first;
    aside->first = job->next;
    if (!aside->first) {
      aside->last = &aside->first;
    }
    aside->idle--;
    bool is_another_needed = reserve_thread(aside);
    (void)pthread_mutex_unlock(&aside->lock);
    if (is_another_needed) {
      (void)make_thread(aside);
    }
    job->run(job);
    (void)pthread_mutex_lock(&aside->lock);
    aside->idle++;
  }
  aside->idle--;
  bool is_last = --aside->threads == 0 && aside->is_released;
  (void)pthread_mutex_unlock(&aside->lock);
  if (is_last) {
    destroy(aside);
  }
  return NULL;
}

/* A thread that is reserved. 0 or -errno; then it is not reserved any more. */
static int make_thread(struct sandwire_aside *aside) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  int error = pthread_attr_init(&attributes);
  if (!error) {
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE + (size_t)PTHREAD_STACK_MIN);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* for the thread, which inherits it */
    error = pthread_create(&thread, &attributes, work, aside);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
  }
  if (error) {
    (void)pthread_mutex_lock(&aside->lock);
    aside->threads--;
    aside->idle--;
    (void)pthread_mutex_unlock(&aside->lock);
  }
  return -error;
}

int sandwire_aside_start(struct sandwire_aside *aside) {
  (void)pthread_mutex_lock(&aside->lock);
  bool is_needed = aside->threads == 0;
  if (is_needed) {
    aside->threads++;
    aside->idle++;
  }
  (void)pthread_mutex_unlock(&aside->lock);
  return is_needed ? make_thread(aside) : 0;
}

void sandwire_aside_do(struct sandwire_aside *aside, struct sandwire_aside_job *job) {
  job->next = NULL;
  (void)pthread_mutex_lock(&aside->lock);
  *aside->last = job;
  aside->last = &job->next;
  bool is_one_needed = reserve_thread(aside);
  (void)pthread_cond_signal(&aside->changed);
  (void)pthread_mutex_unlock(&aside->lock);
  if (is_one_needed) {
    (void)make_thread(aside);
  }
}

void sandwire_aside_release(struct sandwire_aside *aside) {
  if (!aside) {
    return;
  }
  (void)pthread_mutex_lock(&aside->lock);
  aside->is_released = true;
  bool is_last = aside->threads == 0 && !aside->first;
  bool is_one_needed = reserve_thread(aside);
  (void)pthread_cond_broadcast(&aside->changed);
  (void)pthread_mutex_unlock(&aside->lock);
  if (is_last) {
    destroy(aside);
  } else if (is_one_needed) {
    (void)make_thread(aside); /* if this fails too, what was to be done is left to the end of the process */
  }
}
