#include "prewarmed_pool.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop/deadlines.h"
#include "loop/event_loop.h"
#include "mounts.h"
#include "sandbox.h"

enum {
  MAX_TEMPLATES = 32, /* a host with more different policies gets fresh sandboxes for the rest */
  MAX_BEING_MADE = 2  /* of one template at once: runs that wait come first */
};
/* A sandbox that no run took for so long is not worth its memory. */
static const uint64_t lifetime_ns = 5000000000u;

struct sandbox_template {
  struct deadline expiry; /* set while the pool remembers the template */
  struct sandbox_template *next;
  struct sandbox_description *description;
  bool standby;
  size_t references;
  size_t uses;
  size_t in_use, most_in_use;
  size_t count, wanted;
  struct sandbox *prewarmed;
};

static struct sandbox_template *templates;
static size_t template_count;
static size_t prewarmed_in_all;
static struct watch mount_table = {.fd = -1};
static bool closed;

static void end_prewarmed(struct sandbox_template *template) {
  while (template->prewarmed != NULL) {
    sandbox_release(prewarmed_pool_take(template));
  }
}

/* The pool forgets the template; runs and sandboxes may still hold it. */
static void on_expiry(struct deadline *deadline) {
  struct sandbox_template *template = (struct sandbox_template *)deadline; /* its first member */
  struct sandbox_template **link = &templates;
  while (*link != template) {
    link = &(*link)->next;
  }
  *link = template->next;
  template_count--;
  template->wanted = 0;
  end_prewarmed(template);
  sandbox_template_unref(template);
}

/* The pool's sandboxes hold copies of mounts, so a mount that is made or removed on the machine does not
 * reach them (mount_namespaces(7)). */
static void on_mount_change(struct watch *watch, uint32_t events) {
  (void)watch;
  (void)events;
  for (struct sandbox_template *template = templates; template != NULL; template = template->next) {
    end_prewarmed(template);
  }
}

static void watch_mount_table(void) {
  if (mount_table.fd >= 0) {
    return;
  }
  int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  /* EPOLLPRI alone: the file is always readable, and a change is an exception (proc(5), /proc/pid/mounts). */
  if (fd >= 0 && event_loop_add(&mount_table, fd, EPOLLPRI, on_mount_change) != 0) {
    close(fd);
  }
}

struct sandbox_template *sandbox_template_for(const uint8_t *bytes, size_t size, bool standby,
                                              const char **reason) {
  for (struct sandbox_template *template = templates; template != NULL; template = template->next) {
    if (template->standby == standby && template->description->size == size &&
        memcmp(template->description->bytes, bytes, size) == 0) {
      template->references++;
      return template;
    }
  }
  struct sandbox_description *description = sandbox_description_parse(bytes, size, reason);
  if (description == NULL) {
    return NULL;
  }
  struct sandbox_template *template = calloc(1, sizeof(*template));
  if (template == NULL) {
    sandbox_description_destroy(description);
    *reason = "no memory";
    return NULL;
  }
  template->description = description;
  template->standby = standby;
  template->references = 1;
  if (!closed && template_count < MAX_TEMPLATES &&
      deadline_set(&template->expiry, monotonic_now_ns() + lifetime_ns, on_expiry) == 0) {
    template->references++; /* the pool's own */
    template->next = templates;
    templates = template;
    template_count++;
  }
  return template;
}

bool sandbox_template_has_standby(const struct sandbox_template *template) {
  return template->standby;
}

void sandbox_template_ref(struct sandbox_template *template) {
  template->references++;
}

void sandbox_template_unref(struct sandbox_template *template) {
  template->references--;
  if (template->references == 0) {
    sandbox_description_destroy(template->description);
    free(template);
  }
}

struct sandbox_description *sandbox_template_description(struct sandbox_template *template) {
  return template->description;
}

void sandbox_template_used(struct sandbox_template *template) {
  template->uses++;
  template->in_use++;
  if (template->in_use > template->most_in_use) {
    template->most_in_use = template->in_use;
  }
  if (template->expiry.place != 0) { /* if it fails, it expires early */
    deadline_set(&template->expiry, monotonic_now_ns() + lifetime_ns, on_expiry);
  }
}

void sandbox_template_unused(struct sandbox_template *template) {
  template->in_use--;
}

struct sandbox *prewarmed_pool_take(struct sandbox_template *template) {
  struct sandbox *sandbox = template->prewarmed;
  if (sandbox != NULL) {
    template->prewarmed = *sandbox_link(sandbox);
    template->count--;
    prewarmed_in_all--;
  }
  return sandbox;
}

void prewarmed_pool_remove(struct sandbox_template *template, struct sandbox *sandbox) {
  for (struct sandbox **link = &template->prewarmed; *link != NULL; link = sandbox_link(*link)) {
    if (*link == sandbox) {
      *link = *sandbox_link(sandbox);
      template->count--;
      prewarmed_in_all--;
      return;
    }
  }
}

/* None for the first use: most programs run a thing once. */
static size_t suggested(const struct sandbox_template *template) {
  if (template->uses < 2) {
    return 0;
  }
  return template->most_in_use < MAX_PREWARMED_BY_USE ? template->most_in_use + 1 : MAX_PREWARMED_BY_USE;
}

static size_t being_made(const struct sandbox_template *template) {
  size_t count = 0;
  for (struct sandbox *sandbox = template->prewarmed; sandbox != NULL; sandbox = *sandbox_link(sandbox)) {
    count += sandbox_state(sandbox) == SANDBOX_BEING_MADE;
  }
  return count;
}

void prewarmed_pool_go_on(struct sandbox_template *template) {
  while (template->count < template->wanted && prewarmed_in_all < MAX_PREWARMED_IN_ALL &&
         being_made(template) < MAX_BEING_MADE) {
    struct sandbox *sandbox = sandbox_make(template);
    if (sandbox == NULL || sandbox_state(sandbox) == SANDBOX_FAILED) {
      if (sandbox != NULL) {
        sandbox_release(sandbox);
      }
      return;
    }
    /* First in, first out: the oldest is the likeliest to be ready. */
    struct sandbox **link = &template->prewarmed;
    while (*link != NULL) {
      link = sandbox_link(*link);
    }
    *link = sandbox;
    template->count++;
    prewarmed_in_all++;
  }
}

void prewarmed_pool_fill(struct sandbox_template *template, int number) {
  if (closed || template->expiry.place == 0) {
    return;
  }
  template->wanted = number < 0 ? suggested(template) : (size_t)number;
  if (template->wanted > MAX_PREWARMED) {
    template->wanted = MAX_PREWARMED;
  }
  if (number >= 0 && template->count > template->wanted) {
    end_prewarmed(template);
  }
  if (template->wanted > 0) {
    watch_mount_table();
    if (mount_table.fd < 0 ||
        !mounts_can_be_checked(template->description)) { /* a change would go unnoticed */
      template->wanted = 0;
    }
    prewarmed_pool_go_on(template);
  }
}

void prewarmed_pool_close(void) {
  closed = true;
  event_loop_close(&mount_table);
  while (templates != NULL) {
    struct deadline *expiry = &templates->expiry;
    deadline_clear(expiry);
    on_expiry(expiry);
  }
}
