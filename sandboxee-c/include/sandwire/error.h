/* What every call of the library returns: SANDWIRE_OK (0) or one of enum sandwire_error. */
#ifndef SANDWIRE_ERROR_H
#define SANDWIRE_ERROR_H

#include <stdint.h>

#include "sandwire/export.h"
#include "sandwire/wire.generated.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A sentence without a full stop for the code; never NULL. sandwire_comms_error_text() says what a call
 * expected and what came. */
SANDWIRE_API const char *sandwire_strerror(int error);

/* "TAG_MISMATCH" for SANDWIRE_ERROR_TAG_MISMATCH and so on, "OK", or "UNKNOWN"; never NULL. */
SANDWIRE_API const char *sandwire_error_name(int error);

/* "Uint32" for SANDWIRE_TAG_UINT32 and so on; NULL for a custom tag. */
SANDWIRE_API const char *sandwire_tag_name(uint32_t tag);

#ifdef __cplusplus
}
#endif
#endif
