/* The typed channel between a sandboxee and its host: tag, length and value on a Unix stream socket.
 *
 * Calls wait until they are done, or for the time set by sandwire_comms_set_timeout(). They return
 * SANDWIRE_OK or an enum sandwire_error, never print, abort or raise SIGPIPE (one exception: see
 * sandwire_comms_default). An object serves one thread at a time.
 *
 * A typed receive that meets another tag, a value of the wrong size, one that is not valid or one larger than
 * the caller's buffer returns TAG_MISMATCH, BAD_LENGTH, INVALID_VALUE, NO_CREDENTIALS or TOO_LARGE and leaves
 * the message unread: peek at its tag and receive it as what it is. CLOSED, TRUNCATED, NO_FD, SURPLUS_FD and
 * a promise above the payload limit (TOO_LARGE) are final: every later receive returns the same. */
#ifndef SANDWIRE_COMMS_H
#define SANDWIRE_COMMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandwire/error.h"
#include "sandwire/export.h"
#include "sandwire/integers.generated.h" /* sandwire_comms_send_int8() and so on, for each integer type */

#ifdef __cplusplus
extern "C" {
#endif

struct sandwire_comms;

struct sandwire_credentials {
  pid_t pid; /* as this process's pid namespace sees it; 0 (peer credentials only): not visible from here */
  uid_t uid;
  gid_t gid;
};

/* ---- The object ---------------------------------------------------------------------------------------- */

/* Comms on a connected Unix stream socket, which the object owns from now on. NULL with errno: EBADF,
 * ENOTSOCK or ENOMEM; the fd stays the caller's then. */
SANDWIRE_API struct sandwire_comms *sandwire_comms_create(int fd);

/* Comms to the host that started this process: on the fd named by SANDBOX2_COMMS_FD (which is removed from
 * the environment) or else 1023. NULL with errno as above, or EINVAL if the variable is not a number. Under a
 * policy already in force the fd is not looked at, as the syscall for that may be forbidden.
 *
 * In a sandbox made by sandbox2 the channel speaks read() and write() instead of recvmsg() and sendto(),
 * since the policies there rarely allow more; only fds and credentials go by sendmsg() and recvmsg(). Then an
 * fd can only be received by sandwire_comms_recv_fd() without peeking before, and a dead host means SIGPIPE.
 */
SANDWIRE_API struct sandwire_comms *sandwire_comms_default(void);

/* Closes the fd and frees the object. NULL is fine. */
SANDWIRE_API void sandwire_comms_destroy(struct sandwire_comms *comms);

/* The fd, for poll(). Stays the object's. Messages already read ahead do not make it readable: see
 * sandwire_comms_has_message(). */
SANDWIRE_API int sandwire_comms_fd(const struct sandwire_comms *comms);

/* Whether a whole message has already been read ahead, so that the next receive will not wait. */
SANDWIRE_API bool sandwire_comms_has_message(const struct sandwire_comms *comms);

/* Longest payload taken or sent, in bytes; default 256 MiB, at most 2^31-1 (more is cut to that). */
SANDWIRE_API void sandwire_comms_set_payload_limit(struct sandwire_comms *comms, uint64_t bytes);

/* Milliseconds each later call may take; -1 (the default): no limit. Needs poll() and clock_gettime(). After
 * TIMEOUT a receive can be repeated; a send can be too unless part of the message was gone already, which
 * makes TRUNCATED the answer to every later send. */
SANDWIRE_API void sandwire_comms_set_timeout(struct sandwire_comms *comms, int milliseconds);

/* The last call that failed, in words: operation, tag expected and tag met by name, errno. "" if none did.
 * Valid until the next call. */
SANDWIRE_API const char *sandwire_comms_error_text(const struct sandwire_comms *comms);

/* ---- Sending ------------------------------------------------------------------------------------------- */

SANDWIRE_API enum sandwire_error sandwire_comms_send_bool(struct sandwire_comms *comms, bool value);

/* Sizes are bytes; a string is sent without its NUL and may hold others. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_string(struct sandwire_comms *comms, const char *string);
SANDWIRE_API enum sandwire_error sandwire_comms_send_string_sized(struct sandwire_comms *comms,
                                                                  const char *string, size_t size);
SANDWIRE_API enum sandwire_error sandwire_comms_send_bytes(struct sandwire_comms *comms, const void *bytes,
                                                           size_t size);
/* A message serialized by whatever protobuf library the caller uses. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_protobuf(struct sandwire_comms *comms, const void *bytes,
                                                              size_t size);
/* A serialized MessagePack value; a Node host receives it as a JavaScript value. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_message_pack(struct sandwire_comms *comms,
                                                                  const void *bytes, size_t size);
/* Any tag. Those below 0x80000000 are yours, except 0x5357xxxx. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_tlv(struct sandwire_comms *comms, uint32_t tag,
                                                         const void *bytes, size_t size);
SANDWIRE_API enum sandwire_error sandwire_comms_send_barrier(struct sandwire_comms *comms);
/* Sends a copy; fd stays the caller's. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_fd(struct sandwire_comms *comms, int fd);
/* The kernel adds this process's credentials if the peer's socket has SO_PASSCRED. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_credentials(struct sandwire_comms *comms);

/* Until sandwire_comms_uncork() small messages are collected, and go out many in one system call: when 64 KiB
 * are there, before a message that is larger or brings an fd, before a receive that has to wait, and at
 * uncork. A send that returns SANDWIRE_OK has not left the process then. SYSTEM with errno ENOMEM; twice is
 * fine. */
SANDWIRE_API enum sandwire_error sandwire_comms_cork(struct sandwire_comms *comms);
/* Sends what was collected, and sends go out at once again. After TIMEOUT it is still corked: try again. What
 * was collected is lost with sandwire_comms_destroy(). */
SANDWIRE_API enum sandwire_error sandwire_comms_uncork(struct sandwire_comms *comms);

/* ---- Receiving ----------------------------------------------------------------------------------------- */

/* Outputs are written only when SANDWIRE_OK is returned, except *size as said. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_bool(struct sandwire_comms *comms, bool *value);

/* Into the caller's buffer of capacity bytes. *size becomes the number of bytes; if they do not fit,
 * TOO_LARGE is returned, *size says what is needed (for a string one more for its NUL) and the message stays
 * unread. size may be NULL. A string gets a NUL behind it, so capacity must be one larger than its size. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_string(struct sandwire_comms *comms, char *buffer,
                                                            size_t capacity, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_bytes(struct sandwire_comms *comms, void *buffer,
                                                           size_t capacity, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_protobuf(struct sandwire_comms *comms, void *buffer,
                                                              size_t capacity, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_message_pack(struct sandwire_comms *comms, void *buffer,
                                                                  size_t capacity, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_tlv(struct sandwire_comms *comms, uint32_t tag,
                                                         void *buffer, size_t capacity, size_t *size);

/* The same into memory from malloc(), which the caller frees; there is always a NUL behind the size bytes. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_string_alloc(struct sandwire_comms *comms, char **string,
                                                                  size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_bytes_alloc(struct sandwire_comms *comms, void **bytes,
                                                                 size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_protobuf_alloc(struct sandwire_comms *comms,
                                                                    void **bytes, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_message_pack_alloc(struct sandwire_comms *comms,
                                                                        void **bytes, size_t *size);
SANDWIRE_API enum sandwire_error sandwire_comms_recv_tlv_alloc(struct sandwire_comms *comms, uint32_t tag,
                                                               void **bytes, size_t *size);

SANDWIRE_API enum sandwire_error sandwire_comms_recv_barrier(struct sandwire_comms *comms);
/* *fd is CLOEXEC and the caller's. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_fd(struct sandwire_comms *comms, int *fd);

/* Asks the kernel to attach the writer's credentials to what is received from now on (SO_PASSCRED). Call it
 * before the peer sends them. */
SANDWIRE_API enum sandwire_error sandwire_comms_enable_credentials(struct sandwire_comms *comms);
/* NO_CREDENTIALS if a Creds message came without, as when they were not enabled yet when it was sent, or if
 * the sender cannot be seen from this process's pid namespace; the message stays unread. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_credentials(struct sandwire_comms *comms,
                                                                 struct sandwire_credentials *credentials);
/* Credentials of whoever made the socket pair or connected it (SO_PEERCRED). */
SANDWIRE_API enum sandwire_error sandwire_comms_peer_credentials(struct sandwire_comms *comms,
                                                                 struct sandwire_credentials *credentials);

/* ---- Any message --------------------------------------------------------------------------------------- */

struct sandwire_any {
  uint32_t tag;
  uint8_t *payload;                        /* from malloc(), with a NUL behind it */
  size_t size;                             /* bytes */
  int fd;                                  /* of an Fd message, else -1 */
  struct sandwire_credentials credentials; /* of a Creds message */
};

/* The tag of the next message, which stays unread. Waits for its header. */
SANDWIRE_API enum sandwire_error sandwire_comms_peek_tag(struct sandwire_comms *comms, uint32_t *tag);
/* The next message whatever it is. Release it with sandwire_any_destroy(). */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_any(struct sandwire_comms *comms,
                                                         struct sandwire_any *message);
/* Frees the payload and closes the fd unless they were taken (set to NULL and -1). */
SANDWIRE_API void sandwire_any_destroy(struct sandwire_any *message);
/* Sends one message, then receives one; the timeout counts for each half. */
SANDWIRE_API enum sandwire_error sandwire_comms_exchange(struct sandwire_comms *comms, uint32_t tag,
                                                         const void *bytes, size_t size,
                                                         struct sandwire_any *reply);

/* ---- Status -------------------------------------------------------------------------------------------- */

struct sandwire_status_payload {
  const char *type_url;
  size_t type_url_size;
  const void *bytes;
  size_t size;
};

struct sandwire_status {
  int32_t code; /* SANDWIRE_STATUS_* */
  const char *message;
  size_t message_size; /* bytes */
  const struct sandwire_status_payload *payloads;
  size_t payload_count;
};

SANDWIRE_API enum sandwire_error sandwire_comms_send_status(struct sandwire_comms *comms,
                                                            const struct sandwire_status *status);
/* *status is one block of memory: free() it. The message has a NUL behind it. INVALID_VALUE, and the message
 * unread, if it is not a status. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_status(struct sandwire_comms *comms,
                                                            struct sandwire_status **status);

#ifdef __cplusplus
}
#endif
#endif
