/* The typed channel between a sandboxee and its host: tag, length and value on a Unix stream socket.
 *
 * Calls wait until they are done, or for the time set by sandwire_comms_set_timeout(). They return
 * SANDWIRE_OK or an enum sandwire_error, never print, abort or raise SIGPIPE (one exception: see
 * sandwire_comms_default). Only one thread may use an object at a time.
 *
 * A typed receive returns TAG_MISMATCH, BAD_LENGTH, INVALID_VALUE, NO_CREDENTIALS or TOO_LARGE if the next
 * message has another tag, a value of the wrong size, an invalid value, or a value larger than the caller's
 * buffer. The message then stays unread: peek at its tag and receive it as what it is. CLOSED, TRUNCATED,
 * NO_FD, SURPLUS_FD and an announced length above the payload limit (TOO_LARGE) are final: every later
 * receive returns the same. */
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
  pid_t pid; /* in this process's pid namespace; 0 (peer credentials only): not visible from here */
  uid_t uid;
  gid_t gid;
};

/* ---- The object ---------------------------------------------------------------------------------------- */

/* Comms on a connected Unix stream socket, which the object owns from now on. NULL with errno: EBADF,
 * ENOTSOCK or ENOMEM; then the caller still owns the fd. */
SANDWIRE_API struct sandwire_comms *sandwire_comms_create(int fd);

/* Comms to the host that started this process: on the fd named by SANDBOX2_COMMS_FD (which is removed from
 * the environment) or else 1023. NULL with errno as above, or EINVAL if the variable is not a number. Under a
 * policy already in force the fd is not checked, because the syscall for that may be forbidden.
 *
 * In a sandbox made by sandbox2 the channel uses read() and write() instead of recvmsg() and sendto(),
 * because the policies there rarely allow more; only fds and credentials use sendmsg() and recvmsg(). There
 * an fd can only be received by sandwire_comms_recv_fd() without peeking before, and a dead host means
 * SIGPIPE. */
SANDWIRE_API struct sandwire_comms *sandwire_comms_default(void);

/* Closes the fd and frees the object. NULL is allowed. */
SANDWIRE_API void sandwire_comms_destroy(struct sandwire_comms *comms);

/* The fd, for poll(). The object still owns it. Messages that were already read ahead do not make it
 * readable: see sandwire_comms_has_message(). */
SANDWIRE_API int sandwire_comms_fd(const struct sandwire_comms *comms);

/* True if a whole message has already been read ahead, so that the next receive will not wait. */
SANDWIRE_API bool sandwire_comms_has_message(const struct sandwire_comms *comms);

/* The longest payload that is received or sent, in bytes; default 256 MiB, at most 2^31-1 (more is reduced to
 * that). */
SANDWIRE_API void sandwire_comms_set_payload_limit(struct sandwire_comms *comms, uint64_t bytes);

/* Milliseconds that each later call may take; -1 (the default): no limit. Needs poll() and clock_gettime().
 * After TIMEOUT a receive can be repeated. So can a send, unless a part of the message was already sent; then
 * every later send returns TRUNCATED. */
SANDWIRE_API void sandwire_comms_set_timeout(struct sandwire_comms *comms, int milliseconds);

/* A text about the last call that failed: operation, expected tag and tag that came by name, errno. "" if
 * none did. Valid until the next call. */
SANDWIRE_API const char *sandwire_comms_error_text(const struct sandwire_comms *comms);

/* ---- Sending ------------------------------------------------------------------------------------------- */

SANDWIRE_API enum sandwire_error sandwire_comms_send_bool(struct sandwire_comms *comms, bool value);

/* Sizes are in bytes. A string is sent without its final NUL and may contain others. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_string(struct sandwire_comms *comms, const char *string);
SANDWIRE_API enum sandwire_error sandwire_comms_send_string_sized(struct sandwire_comms *comms,
                                                                  const char *string, size_t size);
SANDWIRE_API enum sandwire_error sandwire_comms_send_bytes(struct sandwire_comms *comms, const void *bytes,
                                                           size_t size);
/* A message serialized by any protobuf library. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_protobuf(struct sandwire_comms *comms, const void *bytes,
                                                              size_t size);
/* A serialized MessagePack value; a Node host receives it as a JavaScript value. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_message_pack(struct sandwire_comms *comms,
                                                                  const void *bytes, size_t size);
/* Any tag. Those below 0x80000000 are yours, except 0x5357xxxx. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_tlv(struct sandwire_comms *comms, uint32_t tag,
                                                         const void *bytes, size_t size);
SANDWIRE_API enum sandwire_error sandwire_comms_send_barrier(struct sandwire_comms *comms);
/* Sends a duplicate; the caller still owns fd. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_fd(struct sandwire_comms *comms, int fd);
/* The kernel adds this process's credentials if the peer's socket has SO_PASSCRED. */
SANDWIRE_API enum sandwire_error sandwire_comms_send_credentials(struct sandwire_comms *comms);

/* Until sandwire_comms_uncork() small messages are collected and sent many in one system call: when 64 KiB
 * are collected, before a message that is larger or has an fd, before a receive that has to wait, and at
 * uncork. So a send that returns SANDWIRE_OK may not have left the process. SYSTEM with errno ENOMEM; calling
 * it twice is allowed. */
SANDWIRE_API enum sandwire_error sandwire_comms_cork(struct sandwire_comms *comms);
/* Sends the collected messages; later messages are sent at once again. After TIMEOUT it is still corked: try
 * again. sandwire_comms_destroy() drops what was collected. */
SANDWIRE_API enum sandwire_error sandwire_comms_uncork(struct sandwire_comms *comms);

/* ---- Receiving ----------------------------------------------------------------------------------------- */

/* Outputs are written only when SANDWIRE_OK is returned, except *size where it is documented. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_bool(struct sandwire_comms *comms, bool *value);

/* Receives into the caller's buffer of capacity bytes. *size becomes the number of bytes. If they do not fit,
 * TOO_LARGE is returned, *size becomes the size that is needed (for a string one more for its NUL) and the
 * message stays unread. size may be NULL. A string gets a NUL after it, so capacity must be one larger than
 * its size. */
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

/* The same into memory from malloc(), which the caller frees; there is always a NUL after the size bytes. */
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
/* *fd is CLOEXEC, and the caller must close it. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_fd(struct sandwire_comms *comms, int *fd);

/* Asks the kernel to attach the writer's credentials to what is received from now on (SO_PASSCRED). Call it
 * before the peer sends them. */
SANDWIRE_API enum sandwire_error sandwire_comms_enable_credentials(struct sandwire_comms *comms);
/* NO_CREDENTIALS if a Creds message came without credentials, because they were not enabled when it was sent,
 * or if the sender cannot be seen from this process's pid namespace; the message stays unread. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_credentials(struct sandwire_comms *comms,
                                                                 struct sandwire_credentials *credentials);
/* Credentials of the process that made the socket pair or connected it (SO_PEERCRED). */
SANDWIRE_API enum sandwire_error sandwire_comms_peer_credentials(struct sandwire_comms *comms,
                                                                 struct sandwire_credentials *credentials);

/* ---- Any message --------------------------------------------------------------------------------------- */

struct sandwire_any {
  uint32_t tag;
  uint8_t *payload;                        /* from malloc(), with a NUL after it */
  size_t size;                             /* bytes */
  int fd;                                  /* of an Fd message, else -1 */
  struct sandwire_credentials credentials; /* of a Creds message */
};

/* The tag of the next message, which stays unread. Waits for its header. */
SANDWIRE_API enum sandwire_error sandwire_comms_peek_tag(struct sandwire_comms *comms, uint32_t *tag);
/* The next message, whatever it is. Release it with sandwire_any_destroy(). */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_any(struct sandwire_comms *comms,
                                                         struct sandwire_any *message);
/* Frees the payload and closes the fd, unless the caller has taken them (set them to NULL and -1). */
SANDWIRE_API void sandwire_any_destroy(struct sandwire_any *message);
/* Sends one message, then receives one; the timeout holds for each half. */
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
/* *status is one block of memory: free() it. The message has a NUL after it. INVALID_VALUE, and the message
 * stays unread, if it is not a status. */
SANDWIRE_API enum sandwire_error sandwire_comms_recv_status(struct sandwire_comms *comms,
                                                            struct sandwire_status **status);

#ifdef __cplusplus
}
#endif
#endif
