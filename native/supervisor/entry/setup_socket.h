/* The set-up socket: a joiner is sent there how to attach (protocol/entrance.proto). This is the supervisor's
 * half; nothing of it waits for the other end. */
#ifndef SUPERVISOR_SETUP_SOCKET_H
#define SUPERVISOR_SETUP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/* One TLV, with an fd or (-1) without, whole or not at all. 0, or -1 with errno: EAGAIN when the child does
 * not take what is sent. */
int setup_socket_send(int socket, uint32_t tag, const void *payload, size_t size, int fd);

#endif
