// What one Node environment (main thread or worker) holds of the addon. There is nothing global: each copy of
// the addon in each environment has its own.
#ifndef SANDWIRE_ADDON_ENVIRONMENT_H
#define SANDWIRE_ADDON_ENVIRONMENT_H

#include <napi.h>
#include <sys/socket.h>

#include <memory>

#include "empty_network.h"

extern "C" {
#include "closer_private.h"
}

namespace sandwire {

using Closer = std::shared_ptr<sandwire_closer>;

class ForeignWorkers;

// The state of one environment.
class Environment {
 public:
  Environment();
  ~Environment();
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;

  sandwire_empty_network empty_network;  // where the sockets that sandboxees are given are made

  // What closes and unmaps what peers sent, in threads of its own. Null until guard(), as in a sandboxee,
  // which trusts its host and might not be allowed to make threads: then it is done where it stands.
  Closer closer;

  // Made when they are needed first.
  ForeignWorkers &Workers(Napi::Env env);

 private:
  std::unique_ptr<ForeignWorkers> workers_;
};

Environment &EnvironmentOf(Napi::Env env);

// Closes what a peer has sent, or may have put something into.
void CloseForeign(const Closer &closer, int fd);
// Closes a Unix socket of which there is no duplicate: at once, if nothing waits in it.
void CloseExclusive(const Closer &closer, int fd);

// Throws a JavaScript Error that carries .code ('EPIPE'), .errno and .syscall as Node's own system errors do.
void ThrowSystemError(Napi::Env env, int error_number, const char *syscall);
// The Error, to be given to a callback.
Napi::Error SystemError(Napi::Env env, int error_number, const char *syscall);

Napi::Function DefineSocket(Napi::Env env);
Napi::Function DefineForeignFd(Napi::Env env);
void DefineClosing(Napi::Env env, Napi::Object exports);
void DefineDescriptors(Napi::Env env, Napi::Object exports);
void DefineMapping(Napi::Env env, Napi::Object exports);
void DefineNamedSockets(Napi::Env env, Napi::Object exports);
void DefineOpening(Napi::Env env, Napi::Object exports);
void DefineForking(Napi::Env env, Napi::Object exports);
void DefineLeaving(Napi::Env env, Napi::Object exports);
void DefineSandboxing(Napi::Env env, Napi::Object exports);

}  // namespace sandwire

#endif
