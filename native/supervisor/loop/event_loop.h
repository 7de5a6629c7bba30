/* One epoll set. Runs in the supervisor. */
#ifndef SUPERVISOR_EVENT_LOOP_H
#define SUPERVISOR_EVENT_LOOP_H

#include <stdint.h>

/* Embedded in what it watches for; fd -1: not watching. */
struct watch {
  int fd;
  void (*ready)(struct watch *watch, uint32_t events);
};

/* 0 or -1 with errno. */
int event_loop_open(void);

/* Level-triggered; events as in epoll_ctl(2). 0 or -1 with errno. */
int event_loop_add(struct watch *watch, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t));
int event_loop_change(struct watch *watch, uint32_t events);

/* Another object takes the place of this one, which watches no longer. 0 or -1 with errno. */
int event_loop_move(struct watch *watch, struct watch *from, uint32_t events);

/* Stops watching and closes the fd; nothing happens if it is -1. Events of this round are not delivered. */
void event_loop_close(struct watch *watch);

/* Stops watching and keeps the fd open: returned, -1 if there is none. */
int event_loop_release(struct watch *watch);

/* Delivers events until one of the handlers calls event_loop_stop(). Returns 0, or -1 with errno. */
int event_loop_run(void);
void event_loop_stop(void);

#endif
