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
  MAX_TEMPLATES = 32, /* with spares; a host with more different policies gets fresh sandboxes for the rest */
  MAX_BEING_MADE = 2  /* of one template at once: runs that wait come first */
};
/* A spare that nobody took for so long is not worth its memory. */
static const uint64_t spare_lifetime_ns = 5000000000u;

struct sandbox_template {
  struct deadline expiry; /* set while it has spares or is remembered */
  struct sandbox_template *next;
  struct sandbox_description *description;
  bool residents;
  size_t references;
  size_t uses;
  size_t in_use, most_in_use;
  size_t spare_count, wanted;
  struct sandbox *spares;
};

static struct sandbox_template *templates;
static size_t template_count;
static size_t spares_in_all;
static struct watch mount_table = {.fd = -1};
static bool closed;

static void end_spares(struct sandbox_template *template) {
  while (template->spares != NULL) {
    sandbox_release(sandbox_pool_take(template));
  }
}

/* The pool's own memory of a template ends; runs and sandboxes may still hold it. */
static void on_expiry(struct deadline *deadline) {
  struct sandbox_template *template = (struct sandbox_template *)deadline; /* its first member */
  struct sandbox_template **link = &templates;
  while (*link != template) {
    link = &(*link)->next;
  }
  *link = template->next;
  template_count--;
  template->wanted = 0;
  end_spares(template);
  sandbox_template_unref(template);
}

/* A mount made or taken away on the machine is not in the spares, which hold copies (mount_namespaces(7)). */
static void on_mount_change(struct watch *watch, uint32_t events) {
  (void)watch;
  (void)events;
  for (struct sandbox_template *template = templates; template != NULL; template = template->next) {
    end_spares(template);
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

struct sandbox_template *sandbox_template_for(const uint8_t *bytes, size_t size, bool residents,
                                              const char **reason) {
  for (struct sandbox_template *template = templates; template != NULL; template = template->next) {
    if (template->residents == residents && template->description->size == size &&
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
  template->residents = residents;
  template->references = 1;
  if (!closed && template_count < MAX_TEMPLATES &&
      deadline_set(&template->expiry, monotonic_now_ns() + spare_lifetime_ns, on_expiry) == 0) {
    template->references++; /* the pool's own */
    template->next = templates;
    templates = template;
    template_count++;
  }
  return template;
}

bool sandbox_template_has_residents(const struct sandbox_template *template) {
  return template->residents;
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
    deadline_set(&template->expiry, monotonic_now_ns() + spare_lifetime_ns, on_expiry);
  }
}

void sandbox_template_unused(struct sandbox_template *template) {
  template->in_use--;
}

struct sandbox *sandbox_pool_take(struct sandbox_template *template) {
  struct sandbox *sandbox = template->spares;
  if (sandbox != NULL) {
    template->spares = *sandbox_link(sandbox);
    template->spare_count--;
    spares_in_all--;
  }
  return sandbox;
}

void sandbox_pool_remove(struct sandbox_template *template, struct sandbox *sandbox) {
  for (struct sandbox **link = &template->spares; *link != NULL; link = sandbox_link(*link)) {
    if (*link == sandbox) {
      *link = *sandbox_link(sandbox);
      template->spare_count--;
      spares_in_all--;
      return;
    }
  }
}

/* Not for the first use: most programs run a thing once. */
static size_t suggested(const struct sandbox_template *template) {
  if (template->uses < 2) {
    return 0;
  }
  return template->most_in_use < MAX_SPARES_BY_USE ? template->most_in_use + 1 : MAX_SPARES_BY_USE;
}

static size_t being_made(const struct sandbox_template *template) {
  size_t count = 0;
  for (struct sandbox *spare = template->spares; spare != NULL; spare = *sandbox_link(spare)) {
    count += sandbox_state(spare) == SANDBOX_BEING_MADE;
  }
  return count;
}

void sandbox_pool_go_on(struct sandbox_template *template) {
  while (template->spare_count < template->wanted && spares_in_all < MAX_SPARES_IN_ALL &&
         being_made(template) < MAX_BEING_MADE) {
    struct sandbox *sandbox = sandbox_make(template);
    if (sandbox == NULL || sandbox_state(sandbox) == SANDBOX_FAILED) {
      if (sandbox != NULL) {
        sandbox_release(sandbox);
      }
      return;
    }
    /* Last in, last out: the oldest is the likeliest to be whole. */
    struct sandbox **link = &template->spares;
    while (*link != NULL) {
      link = sandbox_link(*link);
    }
    *link = sandbox;
    template->spare_count++;
    spares_in_all++;
  }
}

void sandbox_pool_fill(struct sandbox_template *template, int number) {
  if (closed || template->expiry.place == 0) {
    return;
  }
  template->wanted = number<0 ? suggested(template) : number> MAX_SPARES ? MAX_SPARES : (size_t)number;
  if (number >= 0 && template->spare_count > template->wanted) {
    end_spares(template);
  }
  if (template->wanted > 0) {
    watch_mount_table();
    if (mount_table.fd < 0 ||
        !mounts_can_be_checked(template->description)) { /* a change would go unnoticed */
      template->wanted = 0;
    }
    sandbox_pool_go_on(template);
  }
}

void sandbox_pool_close(void) {
  closed = true;
  event_loop_close(&mount_table);
  while (templates != NULL) {
    struct deadline *expiry = &templates->expiry;
    deadline_clear(expiry);
    on_expiry(expiry);
  }
}
