#include "orphans.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deadlines.h"
#include "fork/fork_server.h"
#include "process.h"
#include "run/tracer.h"
#include "sandbox/sandbox.h"

/* What is killed is gone in a moment; it is looked for a while, and only after such an event. A sandbox that
 * does not go is looked after for as long as it takes, more and more seldom. */
enum { LOOKS = 200, REAPED_AT_ONCE = 256 };
static const uint64_t shortest_pause_ns = 20000000u, longest_pause_ns = 1000000000u;

static struct deadline next_look;
static uint64_t pause_ns;
static unsigned looks_left;

/* What is traced is heard of by this wait too, even when it has only stopped (wait_task_stopped() in the
 * kernel's exit.c). */
static bool is_stray(const siginfo_t *info) {
  return (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED) &&
         !process_is_watched(info->si_pid) && !follow_knows(info->si_pid) &&
         !sandboxes_expect(info->si_pid) && !fork_servers_own(getpgid(info->si_pid));
}

/* Whether there may be more. */
static bool reap(void) {
  for (int i = 0; i < REAPED_AT_ONCE; i++) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    /* WNOWAIT: one that is watched is left to whom it belongs, and we come again. */
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0 ||
        !is_stray(&info)) {
      return false;
    }
    waitpid(info.si_pid, NULL, WNOHANG | __WALL);
  }
  return true;
}

static void look(struct deadline *deadline) {
  const bool more = reap();
  if (looks_left > 0) {
    looks_left--;
  } else if (sandboxes_dying() == 0) {
    return;
  } else if (!more && pause_ns < longest_pause_ns) {
    pause_ns *= 2;
  }
  (void)deadline_set(deadline, monotonic_now_ns() + (more ? 0 : pause_ns),
                     look); /* without memory: a zombie more */
}

static void look_soon(void) {
  pause_ns = shortest_pause_ns;
  if (next_look.place == 0) {
    (void)deadline_set(&next_look, monotonic_now_ns() + pause_ns, look);
  }
}

void strays_launcher_ended(const siginfo_t *info) {
  if (info->si_code != CLD_EXITED) {
    looks_left = LOOKS;
    look_soon();
  }
}

void strays_sandbox_killed(void) {
  look_soon();
}
