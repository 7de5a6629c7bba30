#include "strays.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "follow.h"
#include "fork/fork_server.h"
#include "loop/deadlines.h"
#include "loop/process.h"

/* What is killed is gone in a moment; it is looked for a while, and only after such an event. */
enum { LOOKS = 200 };
static const uint64_t look_again_ns = 20000000u;

static struct deadline next_look;
static size_t launchers; /* while there are any, a child may be unknown because it is still to be reported */
static unsigned looks_left;

/* What is traced is heard of by this wait too, even when it has only stopped (wait_task_stopped() in the kernel's exit.c). */
static bool is_stray(const siginfo_t *info) {
  return (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED) &&
         !process_is_watched(info->si_pid) && !follow_knows(info->si_pid) &&
         !fork_servers_own(getpgid(info->si_pid));
}

static void look(struct deadline *deadline) {
  siginfo_t info;
  memset(&info, 0, sizeof(info));
  /* WNOWAIT: one that is watched is left to whom it belongs, and we come again. */
  while (launchers == 0 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid != 0 &&
         is_stray(&info)) {
    waitpid(info.si_pid, NULL, WNOHANG | __WALL);
    memset(&info, 0, sizeof(info));
  }
  if (launchers == 0) {
    looks_left--;
  }
  if (looks_left > 0) {
    (void)deadline_set(deadline, monotonic_now_ns() + look_again_ns, look); /* without memory: a zombie more */
  }
}

void strays_launcher_forked(void) {
  launchers++;
}

void strays_launcher_ended(const siginfo_t *info) {
  launchers--;
  if (info->si_code != CLD_EXITED) {
    looks_left = LOOKS;
    if (next_look.place == 0) {
      (void)deadline_set(&next_look, monotonic_now_ns() + look_again_ns, look);
    }
  }
}
