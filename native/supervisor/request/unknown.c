#include "unknown.h"

#include <stdio.h>

/* One is enough: a request is refused for the first of its faults. */
static char reason[96];

const char *unknown_field(const char *message, uint32_t number) {
  (void)snprintf(reason, sizeof(reason), "%s has no field %u", message, (unsigned)number);
  return reason;
}

const char *unknown_value(const char *name, uint64_t value) {
  (void)snprintf(reason, sizeof(reason), "%s has no value %llu", name, (unsigned long long)value);
  return reason;
}
