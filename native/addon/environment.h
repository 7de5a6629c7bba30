// What one Node environment (main thread or worker) holds of the addon. There is nothing global: each copy of
// the addon in each environment has its own.
#ifndef SANDWIRE_ADDON_ENVIRONMENT_H
#define SANDWIRE_ADDON_ENVIRONMENT_H

#include <napi.h>
#include <sys/socket.h>

#include "empty_network.h"

namespace sandwire {

// The state of one environment.
class Environment {
 public:
  Environment() { sandwire_empty_network_init(&empty_network, SOCK_STREAM, SANDWIRE_EMPTY_NETWORK_STOCK); }
  ~Environment() { sandwire_empty_network_close(&empty_network); }
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;

  sandwire_empty_network empty_network;  // where the sockets that sandboxees are given are made
};

// Throws a JavaScript Error that carries .code ('EPIPE'), .errno and .syscall as Node's own system errors do.
void ThrowSystemError(Napi::Env env, int error_number, const char *syscall);

Napi::Function DefineSocket(Napi::Env env);
void DefineDescriptors(Napi::Env env, Napi::Object exports);
void DefineMapping(Napi::Env env, Napi::Object exports);
void DefineNamedSockets(Napi::Env env, Napi::Object exports);
void DefineOpening(Napi::Env env, Napi::Object exports);
void DefineForking(Napi::Env env, Napi::Object exports);
void DefineLeaving(Napi::Env env, Napi::Object exports);
void DefineSandboxing(Napi::Env env, Napi::Object exports);

}  // namespace sandwire

#endif
