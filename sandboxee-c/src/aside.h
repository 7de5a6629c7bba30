/* Work that may wait for as long as a hostile process likes, in threads of its own. Whoever hands it over
 * goes on at once. One job that waits does not hold up the next, until so many wait as there may be threads.
 *
 * The threads block all signals, and end with what they are of: with the last job after
 * sandwire_aside_release(), or with the process. */
#ifndef SANDWIRE_ASIDE_H
#define SANDWIRE_ASIDE_H

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_aside;

/* A member of what the job needs, which run() frees. */
struct sandwire_aside_job {
  void (*run)(struct sandwire_aside_job *job);
  struct sandwire_aside_job *next;
};

/* No thread is made yet. NULL with errno ENOMEM. */
struct sandwire_aside *sandwire_aside_create(unsigned most_threads);

/* Has one thread, which stays. Jobs need not wait for one then, whatever limit on processes is reached later.
 * 0 or -errno: EAGAIN for such a limit. */
int sandwire_aside_start(struct sandwire_aside *aside);

/* Never waits. If no thread can be made the job stays until there is one: that is tried with each job. */
void sandwire_aside_do(struct sandwire_aside *aside, struct sandwire_aside_job *job);

/* The jobs are still done. NULL is fine. */
void sandwire_aside_release(struct sandwire_aside *aside);

#ifdef __cplusplus
}
#endif
#endif
