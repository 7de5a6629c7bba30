#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "loop/orphans.h"
#include "loop/process.h"
#include "mounts.h"
#include "prewarmed_pool.h"
#include "rendezvous.h"
#include "sandwire/wire.generated.h"
#include "shared_network.h"
#include "stage1.h"

struct sandbox {
  struct process stage1, init, standby;
  int standby_socket;       /* the supervisor's end; -1: the run has it, or there is none */
  struct stage1_page *page; /* shared with the children that fill it */
  struct sandbox_template *template;
  struct sandbox *next, *previous; /* of all */
  struct sandbox *next_prewarmed;  /* in the pool */
  struct cgroup *cgroup;           /* of the run that is over; removed with the sandbox */
  struct sandbox_user *user;       /* NULL: not taken yet, or released */
  bool is_prewarmed;
  bool is_complete;
  bool killed;
  bool released;
};

static struct sandbox *all;
static size_t alive;
static void (*when_gone)(void);

/* True for a child that a helper process has reported, and that is not watched yet. */
static bool is_reported(pid_t pid) {
  const struct sandbox *sandbox = all;
  while (sandbox != NULL && sandbox->page->report.child_pid != pid &&
         sandbox->page->attach.child_pid != pid) {
    sandbox = sandbox->next;
  }
  return sandbox != NULL;
}

static struct orphan_claim reported_children = {.claims = is_reported};

static size_t page_size(struct sandbox_template *template) {
  return sizeof(struct stage1_page) +
         sandbox_template_description(template)->mount_count * sizeof(struct source_identity);
}

static void forget_if_done(struct sandbox *sandbox) {
  if (!sandbox->released || sandbox->stage1.pid != 0 || sandbox->init.pid != 0 || sandbox->standby.pid != 0) {
    return;
  }
  if (sandbox->standby_socket >= 0) {
    close(sandbox->standby_socket);
  }
  munmap(sandbox->page, page_size(sandbox->template));
  sandbox_template_unref(sandbox->template);
  cgroup_remove(sandbox->cgroup);
  if (sandbox->previous != NULL) {
    sandbox->previous->next = sandbox->next;
  } else {
    all = sandbox->next;
  }
  if (sandbox->next != NULL) {
    sandbox->next->previous = sandbox->previous;
  }
  free(sandbox);
  orphans_sandbox_gone();
  alive--;
  if (alive == 0 && when_gone != NULL) {
    when_gone();
  }
}

static void report_change(struct sandbox *sandbox) {
  if (sandbox->user != NULL) {
    sandbox->user->changed(sandbox->user);
  } else if (!sandbox->released && sandbox_state(sandbox) == SANDBOX_FAILED) {
    /* A prewarmed sandbox has failed. A run that needs one makes its own, and that one reports why. */
    prewarmed_pool_remove(sandbox->template, sandbox);
    sandbox_release(sandbox);
  } else if (!sandbox->released && sandbox_state(sandbox) == SANDBOX_READY) {
    prewarmed_pool_go_on(sandbox->template);
  }
}

/* Init or the standby process has ended; the sandbox needs both. */
static void on_loss(struct sandbox *sandbox, const char *detail) {
  if (sandbox->released) {
    forget_if_done(sandbox);
    return;
  }
  setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_INIT, 0, detail);
  report_change(sandbox);
}

static void on_init_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  on_loss((struct sandbox *)((char *)process - offsetof(struct sandbox, init)),
          "the init process of the sandbox was killed");
}

/* It has ended before a run took the sandbox. */
static void on_standby_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  struct sandbox *sandbox = (struct sandbox *)((char *)process - offsetof(struct sandbox, standby));
  const struct setup_report *said = &sandbox->page->attach;
  if (said->step != 0) {
    setup_report_failure(&sandbox->page->report, said->step, said->error, said->detail);
  }
  on_loss(sandbox, "the process that waited in the sandbox was killed");
}

/* pid: in a report, where it is cleared. */
static void watch_child(struct sandbox *sandbox, struct process *process, pid_t *pid,
                        void (*ended)(struct process *, const siginfo_t *, const struct rusage *)) {
  const pid_t child = *pid;
  *pid = 0;
  if (child > 0 && !process_watch(process, child, ended)) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  }
}

static void on_stage1_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)usage;
  struct sandbox *sandbox = (struct sandbox *)process; /* its first member */
  /* Before anything else: they must be reaped even if the stage-1 process failed after forking them. */
  watch_child(sandbox, &sandbox->init, &sandbox->page->report.child_pid, on_init_end);
  watch_child(sandbox, &sandbox->standby, &sandbox->page->attach.child_pid, on_standby_end);
  orphans_forker_ended(info);
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_FORK, 0,
                         "the process that makes the sandbox was killed");
  }
  sandbox->is_complete = true;
  if (sandbox->released) {
    process_kill(&sandbox->init);
    forget_if_done(sandbox);
    return;
  }
  report_change(sandbox);
}

/* Forks the stage-1 process. A failure stands in the report. */
static void begin(struct sandbox *sandbox) {
  struct sandbox_description *description = sandbox_template_description(sandbox->template);
  const bool network_is_shared = shared_network_prepare(description);
  if (!network_is_shared && description->network == SANDWIRE_NETWORK_SHARED) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_NAMESPACES, errno, "the shared network");
    return;
  } /* without the shared empty network it gets one of its own, which is as empty */
  int pair[2] = {-1, -1};
  /* In the empty network all are sandboxed before exec. */
  if (sandbox_template_has_standby(sandbox->template) &&
      rendezvous_pair(description->network != SANDWIRE_NETWORK_EMPTY, pair) != 0) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_NAMESPACES, errno, "a network for a socket");
    return;
  }
  sandbox->standby_socket = pair[0];
  pid_t self = getpid();
  pid_t pid = process_fork();
  if (pid == 0) {
    stage1_main(description, sandbox->page, network_is_shared, pair[1], self);
  }
  int error = errno;
  if (pair[1] >= 0) {
    close(pair[1]);
  }
  if (pid < 0) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_FORK, error, "the stage-1 process");
  } else if (!process_watch(&sandbox->stage1, pid, on_stage1_end)) {
    setup_report_failure(&sandbox->page->report, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  }
}

struct sandbox *sandbox_make(struct sandbox_template *template) {
  struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
  void *page = mmap(NULL, page_size(template), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sandbox == NULL || page == MAP_FAILED) {
    if (page != MAP_FAILED) {
      munmap(page, page_size(template));
    }
    free(sandbox);
    return NULL;
  }
  process_init(&sandbox->stage1);
  process_init(&sandbox->init);
  process_init(&sandbox->standby);
  sandbox->standby_socket = -1;
  sandbox->page = page;
  sandbox->template = template;
  sandbox->is_prewarmed = true;
  sandbox_template_ref(template);
  sandbox->next = all;
  if (all != NULL) {
    all->previous = sandbox;
  }
  all = sandbox;
  alive++;
  orphans_claim(&reported_children);
  begin(sandbox);
  return sandbox;
}

struct sandbox *sandbox_acquire(const struct sandbox_wish *wish, struct sandbox_user *user,
                                const char **reason) {
  struct sandbox_template *template =
      sandbox_template_for(wish->description, wish->size, wish->standby, reason);
  if (template == NULL) {
    return NULL;
  }
  struct sandbox *sandbox = wish->fresh ? NULL : prewarmed_pool_take(template);
  if (sandbox == NULL) {
    sandbox = sandbox_make(template);
    if (sandbox != NULL) {
      sandbox->is_prewarmed = false;
    }
  }
  if (sandbox == NULL) {
    *reason = "no memory";
  } else {
    sandbox->user = user;
    sandbox_template_used(template);
  }
  sandbox_template_unref(template);
  return sandbox;
}

enum sandbox_state sandbox_state(const struct sandbox *sandbox) {
  if (sandbox->page->report.step != 0) {
    return SANDBOX_FAILED;
  }
  return sandbox->is_complete ? SANDBOX_READY : SANDBOX_BEING_MADE;
}

const struct setup_report *sandbox_report(const struct sandbox *sandbox) {
  return &sandbox->page->report;
}

struct setup_report *sandbox_attach_report(const struct sandbox *sandbox) {
  return &sandbox->page->attach;
}

bool sandbox_is_empty(const struct sandbox *sandbox) {
  char path[64], first;
  snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)sandbox->init.pid, (int)sandbox->init.pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? -1 : read(fd, &first, 1); /* the file needs CONFIG_PROC_CHILDREN */
  if (fd >= 0) {
    close(fd);
  }
  return size == 0;
}

bool sandbox_has_standby(const struct sandbox *sandbox) {
  return sandbox->standby.pid > 0;
}

bool sandbox_hand_over_standby(struct sandbox *sandbox, struct process *process,
                               void (*ended)(struct process *, const siginfo_t *, const struct rusage *),
                               int *socket) {
  if (!process_move(process, &sandbox->standby, ended)) {
    return false;
  }
  *socket = sandbox->standby_socket;
  sandbox->standby_socket = -1;
  return true;
}

pid_t sandbox_init(const struct sandbox *sandbox) {
  return sandbox->init.pid;
}

const struct sandbox_description *sandbox_describe(const struct sandbox *sandbox) {
  return sandbox_template_description(sandbox->template);
}

bool sandbox_keeps_network(const struct sandbox *sandbox) {
  return sandbox_template_description(sandbox->template)->network == SANDWIRE_NETWORK_HOST;
}

bool sandbox_is_prewarmed(const struct sandbox *sandbox) {
  return sandbox->is_prewarmed;
}

bool sandbox_is_current(const struct sandbox *sandbox) {
  const struct sandbox_description *description = sandbox_describe(sandbox);
  return !sandbox->is_prewarmed || description->landlock_only ||
         mounts_are_current(description, sandbox->page->identities);
}

void sandbox_keep_cgroup(struct sandbox *sandbox, struct cgroup *cgroup) {
  sandbox->cgroup = cgroup;
}

void sandbox_kill(struct sandbox *sandbox) {
  if (!sandbox->killed) {
    sandbox->killed = true;
    orphans_sandbox_killed();
  }
  process_kill(&sandbox->init);
}

void sandbox_release(struct sandbox *sandbox) {
  struct sandbox_template *template = sandbox->template;
  if (sandbox->user != NULL) {
    sandbox_template_unused(template);
  }
  sandbox->user = NULL;
  sandbox->released = true;
  sandbox_kill(sandbox);
  forget_if_done(sandbox);
}

void sandbox_prewarm(const struct sandbox *sandbox, int wanted) {
  prewarmed_pool_fill(sandbox->template, wanted);
}

struct sandbox **sandbox_link(struct sandbox *sandbox) {
  return &sandbox->next_prewarmed;
}

size_t sandboxes_alive(void) {
  return alive;
}

void sandboxes_when_gone(void (*gone)(void)) {
  when_gone = gone;
}

void sandboxes_close(void) {
  prewarmed_pool_close();
}
