#include "orphans.h"

#include <stddef.h>
#include <string.h>
#include <sys/wait.h>

#include "deadlines.h"
#include "process.h"

/* What is killed is gone in a moment, so the search for it goes on for a while, and begins only after such an
 * event. For a sandbox that does not go, the search goes on for as long as it takes, more and more seldom. */
enum { LOOKS = 200, REAPED_AT_ONCE = 256 };
static const uint64_t shortest_pause_ns = 20000000u, longest_pause_ns = 1000000000u;

static struct orphan_claim *claims;
static struct deadline next_look;
static uint64_t pause_ns;
static unsigned looks_left;
static size_t dying_sandboxes;

void orphans_claim(struct orphan_claim *claim) {
  if (!claim->is_made) {
    claim->is_made = true;
    claim->next = claims;
    claims = claim;
  }
}

static bool is_claimed(pid_t pid) {
  const struct orphan_claim *claim = claims;
  while (claim != NULL && !claim->claims(pid)) {
    claim = claim->next;
  }
  return claim != NULL;
}

/* This wait also returns what is traced and has only stopped (wait_task_stopped() in the kernel's exit.c). */
static bool is_orphan(const siginfo_t *info) {
  return (info->si_code == CLD_EXITED || info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED) &&
         !process_is_watched(info->si_pid) && !is_claimed(info->si_pid);
}

/* True if there may be more. */
static bool reap(void) {
  for (int i = 0; i < REAPED_AT_ONCE; i++) {
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    /* WNOWAIT: one that is watched is left to its owner, and the next look goes on behind it. */
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0 || info.si_pid == 0 ||
        !is_orphan(&info)) {
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
  } else if (dying_sandboxes == 0) {
    return;
  } else if (!more && pause_ns < longest_pause_ns) {
    pause_ns *= 2;
  }
  /* Without memory there is a zombie more. */
  (void)deadline_set(deadline, monotonic_now_ns() + (more ? 0 : pause_ns), look);
}

static void look_soon(void) {
  pause_ns = shortest_pause_ns;
  if (next_look.place == 0) {
    (void)deadline_set(&next_look, monotonic_now_ns() + pause_ns, look);
  }
}

void orphans_forker_ended(const siginfo_t *info) {
  if (info->si_code != CLD_EXITED) {
    looks_left = LOOKS;
    look_soon();
  }
}

void orphans_sandbox_killed(void) {
  dying_sandboxes++;
  look_soon();
}

void orphans_sandbox_gone(void) {
  dying_sandboxes--;
}
