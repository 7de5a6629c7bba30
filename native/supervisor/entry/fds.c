#include "fds.h"

#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "privileges.h"
#include "sandwire/wire.generated.h"

/* The first number above all that a sandboxee's fds can be mapped to. */
enum { ABOVE_TARGETS = SANDWIRE_COMMS_FD + 1 };

/* Sources may sit on each other's targets, so all are first lifted above them. */
void fds_put_in_place(const struct start_request *request, int rendezvous_fd, struct setup_report *report) {
  int lifted[SANDWIRE_MAX_LAUNCH_FDS];
  int lifted_rendezvous = rendezvous_fd < 0 ? -1 : fcntl(rendezvous_fd, F_DUPFD, ABOVE_TARGETS);
  bool ok = rendezvous_fd < 0 || lifted_rendezvous >= 0;
  for (size_t i = 0; ok && i < request->fd_count; i++) {
    lifted[i] = fcntl(request->fds[i], F_DUPFD, ABOVE_TARGETS);
    ok = lifted[i] >= 0;
  }
  for (size_t i = 1; ok && i < request->fd_count; i++) {
    ok = dup2(lifted[i], request->targets[i]) >= 0;
  }
  /* Before exec the rendezvous ends with the filter at the latest; sandboxMeHere needs it in the program. */
  int rendezvous_flags = request->mode == SANDWIRE_SANDBOXED_BEFORE_EXEC ? O_CLOEXEC : 0;
  if (!ok || dup3(lifted[0], SANDWIRE_EXEC_FD, O_CLOEXEC) < 0 ||
      (rendezvous_fd >= 0 && dup3(lifted_rendezvous, SANDWIRE_RENDEZVOUS_FD, rendezvous_flags) < 0)) {
    setup_fail(report, SANDWIRE_STEP_FDS, "no room for file descriptors up to 1023 (ulimit -n)");
  }
  if (sandwire_close_all_fds_but(request->sorted_targets, request->sorted_count) != 0) {
    setup_fail(report, SANDWIRE_STEP_FDS, "close_range");
  }
}
