/* The socket on which a child of a fork server is led into its sandbox (protocol/entrance.proto): the
 * supervisor's half of what is said there. Nothing of it waits for the other side. */
#ifndef SUPERVISOR_SETUP_SOCKET_H
#define SUPERVISOR_SETUP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/* One TLV, with an fd or (-1) without, whole or not at all. 0, or -1 with errno: EAGAIN when the child does
 * not take what is sent. */
int setup_socket_send(int socket, uint32_t tag, const void *payload, size_t size, int fd);

#endif
