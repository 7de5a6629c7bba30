#include "setup_report.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct setup_report *setup_report_create(void) {
  void *page =
      mmap(NULL, sizeof(struct setup_report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return page == MAP_FAILED ? NULL : page;
}

void setup_report_destroy(struct setup_report *report) {
  if (report != NULL) {
    munmap(report, sizeof(*report));
  }
}

void setup_report_failure(struct setup_report *report, int step, int error, const char *detail) {
  if (report->step != 0) {
    return;
  }
  size_t length = detail == NULL ? 0 : strnlen(detail, SETUP_DETAIL_SIZE - 1);
  if (length > 0) {
    memcpy(report->detail, detail, length);
  }
  report->detail[length] = '\0';
  report->error = error;
  report->step = step;
}

_Noreturn void setup_fail(struct setup_report *report, int step, const char *detail) {
  setup_report_failure(report, step, errno, detail);
  _exit(SETUP_EXIT_CODE);
}
