/* What went wrong while a sandbox was made or entered, told across processes: a page shared between the
 * supervisor and the children it forks to make one sandbox, or to enter one. A child that fails writes here
 * and exits; the supervisor looks when it sees the child end. The page is gone from the sandboxee with its
 * exec, before any code of it runs. Written without locks: these children work one after the other, and the
 * first failure stands. */
#ifndef SUPERVISOR_SETUP_REPORT_H
#define SUPERVISOR_SETUP_REPORT_H

#include <stdint.h>
#include <sys/types.h>

enum { SETUP_EXIT_CODE = 121, SETUP_DETAIL_SIZE = 512 };

struct setup_report {
  int32_t step;                   /* enum sandwire_setup_step; 0: nothing failed */
  int32_t error;                  /* errno */
  char detail[SETUP_DETAIL_SIZE]; /* the object it failed on, NUL-terminated */
  pid_t child_pid;                /* of the process that the writer forked, as the supervisor sees it */
  int32_t is_stale;               /* a sandbox made ahead is not what it was */
};

/* NULL with errno when there is no memory. */
struct setup_report *setup_report_create(void);
void setup_report_destroy(struct setup_report *report);

/* Records the failure unless one stands already. Async-signal-safe. */
void setup_report_failure(struct setup_report *report, int step, int error, const char *detail);

/* In a child: records errno's failure and ends the child. */
_Noreturn void setup_fail(struct setup_report *report, int step, const char *detail);

#endif
