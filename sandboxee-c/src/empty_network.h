/* Sockets in a network namespace that holds nothing. A socket belongs for good to the network namespace of
 * the task that made it, whoever has it later: with one of the host's a sandboxee could ask for the host's
 * interfaces, and take and try names among the host's abstract sockets (unix(7)). So the sockets that a
 * sandboxee is given are made here.
 *
 * The namespace is shared by all that are made by one struct. That connects nobody, because each end of a
 * pair has a name from its beginning, and a socket can have but one (bind(2), EINVAL); nothing listens in the
 * namespace, and no process is in it or in the user namespace that owns it.
 *
 * Runs in the host, by the Node addon, and in the supervisor, with their privileges. Not for several threads
 * at once. */
#ifndef SANDWIRE_EMPTY_NETWORK_H
#define SANDWIRE_EMPTY_NETWORK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pairs made at once, at most: most of what one costs is the process that makes it. */
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

/* Closes all that was not given away. */
void sandwire_empty_network_close(struct sandwire_empty_network *network);

/* A connected pair, close-on-exec. 0, or -errno: also for what making namespaces fails with (clone(2)). For
 * its peers (SO_PEERCRED) its maker is this user, and a process that has ended. */
int sandwire_empty_network_pair(struct sandwire_empty_network *network, int pair[2]);

/* A stream socket, close-on-exec, to be connected to a path: whoever accepts the connection gets a socket in
 * the network namespace of this one (unix_stream_connect() in net/unix/af_unix.c). The fd, or -errno. */
int sandwire_empty_network_socket(struct sandwire_empty_network *network);

#ifdef __cplusplus
}
#endif
#endif
