/* What a request holds that this supervisor does not know. Host and supervisor ship together, so it is
 * refused: a limit or a switch that is passed over would be lost in silence. Runs in the supervisor. */
#ifndef SUPERVISOR_UNKNOWN_H
#define SUPERVISOR_UNKNOWN_H

#include <stdint.h>

/* The reason for a refusal, "StartRequest has no field 7" or "Network has no value 7". Good until the next
 * call. */
const char *unknown_field(const char *message, uint32_t number);
const char *unknown_value(const char *name, uint64_t value);

#endif
