#include "sandwire/error.h"

#include <stddef.h>

#include "wire_lists.generated.h"

struct error_words {
  const char *name, *words;
};

static const struct error_words errors[] = {
    [SANDWIRE_OK] = {"OK", "success"},
    [SANDWIRE_ERROR_CLOSED] = {"CLOSED", "the peer closed the channel"},
    [SANDWIRE_ERROR_TAG_MISMATCH] = {"TAG_MISMATCH", "the next message has another tag than expected"},
    [SANDWIRE_ERROR_TOO_LARGE] = {"TOO_LARGE", "a message is larger than allowed or than the buffer given"},
    [SANDWIRE_ERROR_TIMEOUT] = {"TIMEOUT", "the call did not finish in time"},
    [SANDWIRE_ERROR_ABORTED] = {"ABORTED", "the call was aborted"},
    [SANDWIRE_ERROR_BAD_LENGTH] = {"BAD_LENGTH", "a message has a length its type cannot have"},
    [SANDWIRE_ERROR_NO_FD] = {"NO_FD", "an Fd message came without a file descriptor"},
    [SANDWIRE_ERROR_SURPLUS_FD] = {"SURPLUS_FD", "a file descriptor came that no message announced"},
    [SANDWIRE_ERROR_TRUNCATED] = {"TRUNCATED", "the channel ended in the middle of a message"},
    [SANDWIRE_ERROR_INVALID_VALUE] = {"INVALID_VALUE", "a value is not a valid one of its type"},
    [SANDWIRE_ERROR_NO_CREDENTIALS] = {"NO_CREDENTIALS", "a Creds message came without credentials"},
    [SANDWIRE_ERROR_BUSY] = {"BUSY", "another call is using the object"},
    [SANDWIRE_ERROR_UNSUPPORTED] = {"UNSUPPORTED", "this version or this system cannot do that"},
    [SANDWIRE_ERROR_SYSTEM] = {"SYSTEM", "a system call failed"},
};

enum { ERROR_COUNT = sizeof errors / sizeof errors[0] };

const char *sandwire_strerror(int error) {
  return error >= 0 && error < ERROR_COUNT ? errors[error].words : "unknown error";
}

const char *sandwire_error_name(int error) {
  return error >= 0 && error < ERROR_COUNT ? errors[error].name : "UNKNOWN";
}

const char *sandwire_tag_name(uint32_t tag) {
  switch (tag) {
#define NAME_OF(tag, text) \
  case tag:                \
    return text;
    SANDWIRE_TAGS(NAME_OF)
#undef NAME_OF
    default:
      return NULL;
  }
}
