#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup_guardian.h"
#include "cgroup_place.h"
#include "loop/deadlines.h"

/* Where the cgroups of our runs are: one for each parent that is asked for. */
struct base {
  struct base *next;
  struct cgroup_place place;
  struct cgroup_guardian guardian;
  char *parent;
};

struct cgroup {
  struct deadline retry; /* first member */
  struct base *base;
  int fd, entrance;
  unsigned attempts;
  char name[CGROUP_NAME_SIZE];
};

enum { MAX_BASES = 16, CPU_PERIOD_US = 100000, MAX_ATTEMPTS = 50 };
static const uint64_t retry_after_ns = 20000000u;

static struct base *bases;
static size_t base_count;

static unsigned controllers_for(const struct cgroup_limits *limits) {
  return (limits->memory_bytes > 0 ? (unsigned)CGROUP_MEMORY : 0) |
         (limits->processes > 0 ? (unsigned)CGROUP_PIDS : 0) |
         (limits->cpu_us > 0 ? (unsigned)CGROUP_CPU : 0);
}

static struct base *make_base(const char *parent, unsigned wanted, int *error, char *tried,
                              size_t tried_size) {
  char name[CGROUP_NAME_SIZE];
  struct base *base = calloc(1, sizeof(*base));
  char *copy = strdup(parent);
  if (base == NULL || copy == NULL || base_count == MAX_BASES) {
    free(base);
    free(copy);
    *error = base_count == MAX_BASES ? ENFILE : ENOMEM;
    return NULL;
  }
  cgroup_guardian_name(name, sizeof(name));
  *error = cgroup_place_make(&base->place, parent, wanted, name, tried, tried_size);
  if (*error == 0 && !cgroup_guardian_start(&base->guardian, &base->place)) {
    *error = errno;
    cgroup_place_close(&base->place);
  }
  if (*error != 0) {
    free(base);
    free(copy);
    return NULL;
  }
  cgroup_guardian_sweep(base->place.parent_fd);
  base->parent = copy;
  base->next = bases;
  bases = base;
  base_count++;
  return base;
}

static struct base *base_for(const char *parent, unsigned wanted, int *error, char *tried,
                             size_t tried_size) {
  struct base *base = bases;
  while (base != NULL && strcmp(base->parent, parent) != 0) {
    base = base->next;
  }
  if (base == NULL) {
    return make_base(parent, wanted, error, tried, tried_size);
  }
  *error = cgroup_place_extend(&base->place, wanted);
  if (*error == 0 &&
      !cgroup_guardian_start(&base->guardian, &base->place)) { /* does nothing while there is one */
    *error = errno;
  }
  snprintf(tried, tried_size, "%s", base->place.name);
  return *error == 0 ? base : NULL;
}

static int write_limit(const struct cgroup *cgroup, const char *file, uint64_t value) {
  char text[24];
  snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
  return cgroup_write(cgroup->fd, file, text);
}

static int set_limits(const struct cgroup *cgroup, const struct cgroup_limits *limits, const char **file) {
  int error = 0;
  if (limits->memory_bytes > 0) {
    error = write_limit(cgroup, *file = "memory.max", limits->memory_bytes);
    if (error == 0) {
      /* Swap is memory, too; absent where the kernel has none. */
      error = cgroup_write(cgroup->fd, *file = "memory.swap.max", "0");
      error = error == ENOENT ? 0 : error;
    }
    if (error == 0) {
      /* All of it or nothing: what is left when one process is killed has not asked for that. */
      error = cgroup_write(cgroup->fd, *file = "memory.oom.group", "1");
    }
  }
  if (error == 0 && limits->processes > 0) {
    error = write_limit(cgroup, *file = "pids.max", limits->processes);
  }
  if (error == 0 && limits->cpu_us > 0) {
    char text[48];
    snprintf(text, sizeof(text), "%llu %d", (unsigned long long)limits->cpu_us, CPU_PERIOD_US);
    error = cgroup_write(cgroup->fd, *file = "cpu.max", text);
  }
  return error;
}

struct cgroup *cgroup_make(const struct cgroup_limits *limits, uint64_t run, int *error, char *tried,
                           size_t tried_size) {
  const unsigned wanted = controllers_for(limits);
  struct base *base = base_for(limits->parent, wanted, error, tried, tried_size);
  if (base == NULL) {
    return NULL;
  }
  struct cgroup *cgroup = calloc(1, sizeof(*cgroup));
  if (cgroup == NULL) {
    *error = ENOMEM;
    return NULL;
  }
  const char *step = "mkdir";
  cgroup->base = base;
  cgroup->fd = cgroup->entrance = -1;
  snprintf(cgroup->name, sizeof(cgroup->name), "run-%llu", (unsigned long long)run);
  if (mkdirat(base->place.fd, cgroup->name, 0755) != 0) {
    *error = errno;
  } else {
    cgroup->fd = openat(base->place.fd, cgroup->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *error = cgroup->fd < 0 ? errno : set_limits(cgroup, limits, &step);
    if (*error == 0) {
      cgroup->entrance = openat(cgroup->fd, step = "cgroup.procs", O_WRONLY | O_CLOEXEC);
      *error = cgroup->entrance < 0 ? errno : 0;
    }
  }
  if (*error != 0) {
    snprintf(tried, tried_size, "%s of %s/%s: %s", step, base->place.name, cgroup->name, strerror(*error));
    cgroup_remove(cgroup);
    return NULL;
  }
  return cgroup;
}

int cgroup_entrance(const struct cgroup *cgroup) {
  return cgroup->entrance;
}

/* The number behind a key, or, with no key, all there is. 0 if it is not there. */
static uint64_t number_in(const struct cgroup *cgroup, const char *file, const char *key) {
  char text[4096];
  if (cgroup_read(cgroup->fd, file, text, sizeof(text)) < 0) {
    return 0;
  }
  if (key == NULL) {
    return strtoull(text, NULL, 10);
  }
  const size_t length = strlen(key);
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    if (strncmp(line, key, length) == 0 && line[length] == ' ') {
      return strtoull(line + length, NULL, 10);
    }
  }
  return 0;
}

void cgroup_read_usage(const struct cgroup *cgroup, struct cgroup_usage *usage) {
  usage->known = true;
  usage->memory_peak_bytes = number_in(cgroup, "memory.peak", NULL);
  usage->processes_peak = number_in(cgroup, "pids.peak", NULL);
  usage->cpu_us = number_in(cgroup, "cpu.stat", "usage_usec");
  usage->throttled_us = number_in(cgroup, "cpu.stat", "throttled_usec");
  usage->oom_kills = number_in(cgroup, "memory.events", "oom_kill");
  usage->refused_processes = number_in(cgroup, "pids.events", "max");
}

static void on_retry(struct deadline *deadline) {
  cgroup_remove((struct cgroup *)deadline); /* its first member */
}

void cgroup_remove(struct cgroup *cgroup) {
  if (cgroup == NULL) {
    return;
  }
  if (cgroup->entrance >= 0) {
    close(cgroup->entrance);
    cgroup->entrance = -1;
  }
  /* EBUSY: something in it is still on its way out. */
  if (unlinkat(cgroup->base->place.fd, cgroup->name, AT_REMOVEDIR) != 0 && errno == EBUSY &&
      cgroup->attempts++ < MAX_ATTEMPTS &&
      deadline_set(&cgroup->retry, monotonic_now_ns() + retry_after_ns, on_retry) == 0) {
    return;
  }
  if (cgroup->fd >= 0) {
    close(cgroup->fd);
  }
  free(cgroup);
}

void cgroups_close(void) {
  for (struct base *base = bases; base != NULL; base = base->next) {
    cgroup_place_close(&base->place);
  }
}

int cgroup_try(unsigned controller) {
  struct cgroup_place place;
  char name[CGROUP_NAME_SIZE], tried[256];
  cgroup_guardian_name(name, sizeof(name));
  int error = cgroup_place_make(&place, "", controller, name, tried, sizeof(tried));
  if (error == 0) {
    cgroup_place_close(&place);
  }
  return error;
}
