// receive and send of one socket as functions that know it: called far more often than anything else here, so
// they spare what a method costs to find its object.
#ifndef SANDWIRE_ADDON_SOCKET_CALLS_H
#define SANDWIRE_ADDON_SOCKET_CALLS_H

#include "environment.h"

extern "C" {
#include "sandwire/comms.h"
}

namespace sandwire {

// A piece of memory that is used again and again, such as an inbox: held here, and known by its address.
struct KnownBuffer {
  napi_ref reference = nullptr;
  char *data = nullptr;
  size_t size = 0;
};

// What the Socket object and the functions of it share; the last of them deletes it.
struct SocketState {
  int owners = 1;
  int fd = -1;  // -1: closed
  Closer closer;
  bool wants_credentials = false;
  struct sandwire_credentials writer = {0, 0, 0};  // of the bytes received last; pid 0: not known
  KnownBuffer inbox;
  KnownBuffer outbox;
};

void ReleaseState(napi_env env, SocketState *state);

// Sets on socket, as properties of its own:
//   receive(into, offset, length, fds, wait, timeoutMs): bytes, 0 at the end, -1 when nothing came
//   send(bytes, offset, length, fd, wait, timeoutMs): bytes taken, -1 when the socket is full
//   knowInbox(inbox), knowOutbox(outbox): memory for the next two, as Uint8Arrays
//   receiveKnown(offset, fds, wait, timeoutMs): as receive, to all of the inbox from the offset on
//   sendKnown(length, wait): as send, of the outbox's beginning, with no time set
// With wait and a timeoutMs from 0 up they come back with -1 after that; below, they do not, unless by
// limitWaits().
void DefineSocketCalls(Napi::Env env, Napi::Object socket, SocketState *state);

}  // namespace sandwire

#endif
