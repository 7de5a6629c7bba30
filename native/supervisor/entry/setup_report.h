/* The set-up report: the step that failed while a sandbox was made or attached to. It is in a page that the
 * supervisor shares with the children it forks for that. A child that fails writes it and exits; the
 * supervisor reads it when the child has ended. A sandboxee loses the page with its exec, before any code of
 * it runs. Written without locks: these children work one after the other, and the first failure stands. */
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
  int32_t is_stale;               /* the prewarmed sandbox is stale */
};

/* NULL with errno when there is no memory. */
struct setup_report *setup_report_create(void);
void setup_report_destroy(struct setup_report *report);

/* Records the failure unless one stands already. Async-signal-safe. */
void setup_report_failure(struct setup_report *report, int step, int error, const char *detail);

/* In a child: records errno's failure and ends the child. */
_Noreturn void setup_fail(struct setup_report *report, int step, const char *detail);

#endif
