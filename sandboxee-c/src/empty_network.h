/* Sockets in a network namespace that holds nothing. A socket stays in the network namespace of the task that
 * made it. By a socket of the host's network a sandboxee could list the host's interfaces, take names of
 * abstract sockets (unix(7)), and find out which of them are listened on. So the sockets for sandboxees are
 * made here.
 *
 * All sockets of one struct share one namespace. They cannot reach each other: both ends of a pair are bound
 * to a name from the start, and a bound socket cannot be bound again (bind(2), EINVAL). Nothing listens in
 * the namespace. No process is in it, or in the user namespace that owns it.
 *
 * Runs in the host, by the Node addon, and in the supervisor, with their privileges. A struct is for one
 * thread. */
#ifndef SANDWIRE_EMPTY_NETWORK_H
#define SANDWIRE_EMPTY_NETWORK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most pairs that are made at once. Most of the cost of a pair is the process that makes it. */
enum { SANDWIRE_EMPTY_NETWORK_STOCK = 4 };

struct sandwire_empty_network {
  int type;          /* of the pairs: SOCK_STREAM, SOCK_SEQPACKET */
  size_t batch;      /* how many are made at once */
  int user, network; /* the namespaces; -1: not made yet */
  size_t stock_count;
  int stock[SANDWIRE_EMPTY_NETWORK_STOCK][2];
};

/* Makes nothing yet. */
void sandwire_empty_network_init(struct sandwire_empty_network *network, int type, size_t batch);

/* Closes the namespaces and the pairs that were not handed out. */
void sandwire_empty_network_close(struct sandwire_empty_network *network);

/* A connected pair, close-on-exec. 0, or -errno; clone(2) lists the errors of making namespaces. SO_PEERCRED
 * of both ends reports this user, and the pid of a process that has ended. */
int sandwire_empty_network_pair(struct sandwire_empty_network *network, int pair[2]);

/* A stream socket, close-on-exec, for connecting to a path. The socket that accept() returns at the other end
 * is in the network namespace of this one (unix_stream_connect() in net/unix/af_unix.c). The fd, or -errno.
 */
int sandwire_empty_network_socket(struct sandwire_empty_network *network);

#ifdef __cplusplus
}
#endif
#endif
