#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cgroup/cgroup.h"
#include "loop/event_loop.h"
#include "loop/process.h"
#include "maker.h"
#include "mounts.h"
#include "run/strays.h"
#include "sandbox_pool.h"
#include "sandwire/wire.generated.h"

struct sandbox {
  struct process maker, init;
  struct watch ready;
  struct setup_report *report;
  struct source_identity *identities; /* shared with the children that fill it */
  struct sandbox_template *template;
  struct sandbox *next_spare; /* in the pool */
  struct cgroup *cgroup;      /* of the run that is over, to be removed with us */
  struct run *run;            /* NULL: made ahead and not taken, or released */
  void (*changed)(struct run *);
  bool made_ahead;
  bool said_ready;
  bool released;
  bool init_ended;
};

static size_t alive;
static void (*when_gone)(void);

static size_t identities_size(const struct sandbox_description *description) {
  return (description->mount_count + 1) * sizeof(struct source_identity);
}

static void forget_if_done(struct sandbox *sandbox) {
  if (!sandbox->released || sandbox->maker.pid != 0 || sandbox->init.pid != 0) {
    return;
  }
  event_loop_close(&sandbox->ready);
  setup_report_destroy(sandbox->report);
  munmap(sandbox->identities, identities_size(sandbox_template_description(sandbox->template)));
  sandbox_template_unref(sandbox->template);
  cgroup_remove(sandbox->cgroup);
  free(sandbox);
  alive--;
  if (alive == 0 && when_gone != NULL) {
    when_gone();
  }
}

static void tell(struct sandbox *sandbox) {
  if (sandbox->run != NULL) {
    sandbox->changed(sandbox->run);
  } else if (!sandbox->released && sandbox_state(sandbox) == SANDBOX_FAILED) {
    /* A spare that came to nothing. Whoever needs one makes its own, and hears why. */
    sandbox_pool_remove(sandbox->template, sandbox);
    sandbox_release(sandbox);
  } else if (!sandbox->released && sandbox_state(sandbox) == SANDBOX_READY) {
    sandbox_pool_go_on(sandbox->template);
  }
}

static void on_init_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)info;
  (void)usage;
  struct sandbox *sandbox = (struct sandbox *)((char *)process - offsetof(struct sandbox, init));
  sandbox->init_ended = true;
  if (sandbox->released) {
    forget_if_done(sandbox);
    return;
  }
  setup_report_failure(sandbox->report, SANDWIRE_STEP_INIT, 0, "the init process of the sandbox was killed");
  tell(sandbox);
}

static void on_maker_end(struct process *process, const siginfo_t *info, const struct rusage *usage) {
  (void)usage;
  struct sandbox *sandbox = (struct sandbox *)process; /* its first member */
  /* Before anything else: init must be reaped even if the maker failed after forking it. */
  if (sandbox->report->child_pid > 0 && !process_watch(&sandbox->init, sandbox->report->child_pid, on_init_end)) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  }
  strays_launcher_ended(info);
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_FORK, 0, "the process that makes the sandbox was killed");
  }
  if (sandbox->released) {
    process_kill(&sandbox->init);
    forget_if_done(sandbox);
    return;
  }
  tell(sandbox);
}

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct sandbox *sandbox = (struct sandbox *)((char *)watch - offsetof(struct sandbox, ready));
  char byte;
  if (read(watch->fd, &byte, 1) == 1) {
    sandbox->said_ready = true;
  } /* otherwise init has ended, and its end will be seen */
  event_loop_close(watch);
  if (!sandbox->released) {
    tell(sandbox);
  }
}

/* Forks the maker. A failure stands in the report. */
static void begin(struct sandbox *sandbox) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_MEMORY, errno, "pipe");
    return;
  }
  if (event_loop_add(&sandbox->ready, ready[0], EPOLLIN, on_ready) != 0) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_MEMORY, errno, "epoll");
    close(ready[0]);
    close(ready[1]);
    return;
  }
  pid_t self = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    maker_main(sandbox_template_description(sandbox->template), sandbox->identities, sandbox->report, ready[1], self);
  }
  int error = errno;
  close(ready[1]);
  if (pid < 0) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_FORK, error, "maker");
  } else if (!process_watch(&sandbox->maker, pid, on_maker_end)) {
    setup_report_failure(sandbox->report, SANDWIRE_STEP_MEMORY, errno, "pidfd");
  } else {
    strays_launcher_forked();
  }
}

struct sandbox *sandbox_make(struct sandbox_template *template) {
  struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
  struct setup_report *report = setup_report_create();
  void *identities = mmap(NULL, identities_size(sandbox_template_description(template)), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sandbox == NULL || report == NULL || identities == MAP_FAILED) {
    if (identities != MAP_FAILED) {
      munmap(identities, identities_size(sandbox_template_description(template)));
    }
    setup_report_destroy(report);
    free(sandbox);
    return NULL;
  }
  process_init(&sandbox->maker);
  process_init(&sandbox->init);
  sandbox->ready.fd = -1;
  sandbox->report = report;
  sandbox->identities = identities;
  sandbox->template = template;
  sandbox->made_ahead = true;
  sandbox_template_ref(template);
  alive++;
  begin(sandbox);
  return sandbox;
}

struct sandbox *sandbox_acquire(const uint8_t *description, size_t size, bool fresh, struct run *run,
                                void (*changed)(struct run *), const char **reason) {
  struct sandbox_template *template = sandbox_template_for(description, size, reason);
  if (template == NULL) {
    return NULL;
  }
  struct sandbox *sandbox = fresh ? NULL : sandbox_pool_take(template);
  if (sandbox == NULL) {
    sandbox = sandbox_make(template);
    if (sandbox != NULL) {
      sandbox->made_ahead = false;
    }
  }
  if (sandbox == NULL) {
    *reason = "no memory";
  } else {
    sandbox->run = run;
    sandbox->changed = changed;
    sandbox_template_used(template);
  }
  sandbox_template_unref(template);
  return sandbox;
}

enum sandbox_state sandbox_state(const struct sandbox *sandbox) {
  if (sandbox->report->step != 0) {
    return SANDBOX_FAILED;
  }
  return sandbox->said_ready && sandbox->init.pid > 0 ? SANDBOX_READY : SANDBOX_BEING_MADE;
}

const struct setup_report *sandbox_report(const struct sandbox *sandbox) {
  return sandbox->report;
}

pid_t sandbox_init(const struct sandbox *sandbox) {
  return sandbox->init.pid;
}

const struct sandbox_description *sandbox_describe(const struct sandbox *sandbox) {
  return sandbox_template_description(sandbox->template);
}

bool sandbox_keeps_network(const struct sandbox *sandbox) {
  return sandbox_template_description(sandbox->template)->unrestricted_networking;
}

bool sandbox_was_made_ahead(const struct sandbox *sandbox) {
  return sandbox->made_ahead;
}

bool sandbox_is_current(const struct sandbox *sandbox) {
  const struct sandbox_description *description = sandbox_describe(sandbox);
  return !sandbox->made_ahead || description->landlock_only ||
         mounts_are_current(description, sandbox->identities);
}

void sandbox_keep_cgroup(struct sandbox *sandbox, struct cgroup *cgroup) {
  sandbox->cgroup = cgroup;
}

void sandbox_kill(const struct sandbox *sandbox) {
  process_kill(&sandbox->init);
}

void sandbox_release(struct sandbox *sandbox) {
  struct sandbox_template *template = sandbox->template;
  if (sandbox->run != NULL) {
    sandbox_template_unused(template);
  }
  sandbox->run = NULL;
  sandbox->released = true;
  process_kill(&sandbox->init);
  forget_if_done(sandbox);
}

void sandbox_make_ahead(const struct sandbox *sandbox, int wanted) {
  sandbox_pool_fill(sandbox->template, wanted);
}

struct sandbox **sandbox_link(struct sandbox *sandbox) {
  return &sandbox->next_spare;
}

size_t sandboxes_alive(void) {
  return alive;
}

void sandboxes_when_gone(void (*gone)(void)) {
  when_gone = gone;
}

void sandboxes_close(void) {
  sandbox_pool_close();
}
