// Named sockets for JavaScript, on libsandwire's. An address is "@name" in the abstract namespace, or a path.
#include <cerrno>
#include <string>

#include "environment.h"

extern "C" {
#include "named_socket.h"
}

namespace sandwire {
namespace {

// A socket, or -1 for "not in time"; else throws.
Napi::Value SocketOrError(Napi::Env env, int fd, const char *syscall) {
  if (fd >= 0) return Napi::Number::New(env, fd);
  if (fd == -EAGAIN) return Napi::Number::New(env, -1);
  ThrowSystemError(env, -fd, syscall);
  return env.Undefined();
}

// listenNamed(address): { fd, inode }, the inode being that of a path's file, or 0.
Napi::Value ListenNamed(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  ino_t inode = 0;
  const int fd = sandwire_named_socket_listen(info[0].ToString().Utf8Value().c_str(), &inode);
  if (fd < 0) {
    ThrowSystemError(env, -fd, "listen");
    return env.Undefined();
  }
  Napi::Object listening = Napi::Object::New(env);
  listening.Set("fd", Napi::Number::New(env, fd));
  listening.Set("inode", Napi::BigInt::New(env, static_cast<uint64_t>(inode)));
  return listening;
}

// removeNamed(address, inode): removes the file of a path if it still is the one with this inode.
Napi::Value RemoveNamed(const Napi::CallbackInfo &info) {
  bool lossless = false;
  const uint64_t inode = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  sandwire_named_socket_remove(info[0].ToString().Utf8Value().c_str(), static_cast<ino_t>(inode));
  return info.Env().Undefined();
}

// acceptNamed(fd, timeoutMs): the next connection; timeoutMs -1: no limit, 0: does not wait.
Napi::Value AcceptNamed(const Napi::CallbackInfo &info) {
  const int fd =
      sandwire_named_socket_accept(info[0].ToNumber().Int32Value(), info[1].ToNumber().Int32Value());
  return SocketOrError(info.Env(), fd, "accept");
}

// connectNamed(address, timeoutMs): waits so long for room in the listener's queue.
Napi::Value ConnectNamed(const Napi::CallbackInfo &info) {
  const int fd =
      sandwire_named_socket_connect(info[0].ToString().Utf8Value().c_str(), info[1].ToNumber().Int32Value());
  return SocketOrError(info.Env(), fd, "connect");
}

// Whether this process can make no namespaces, and so no sandboxes: no sandboxee of ours listens anywhere.
bool IsForbidden(int error) {
  return error == EPERM || error == EACCES || error == EINVAL || error == ENOSYS;
}

// connectNamedFromHost(address, timeoutMs): as connectNamed(). A sandboxee may listen on a path, and its end
// then is one of the network of ours. An abstract name belongs to a network, so that none can listen on those
// that we reach.
Napi::Value ConnectNamedFromHost(const Napi::CallbackInfo &info) {
  const std::string address = info[0].ToString().Utf8Value();
  if (address.empty() || address[0] == '@') return ConnectNamed(info);
  int fd = sandwire_empty_network_socket(&info.Env().GetInstanceData<Environment>()->empty_network);
  if (fd < 0 && IsForbidden(-fd)) return ConnectNamed(info);
  if (fd >= 0) fd = sandwire_named_socket_connect_by(fd, address.c_str(), info[1].ToNumber().Int32Value());
  return SocketOrError(info.Env(), fd, "connect");
}

}  // namespace

void DefineNamedSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("listenNamed", Napi::Function::New(env, &ListenNamed));
  exports.Set("removeNamed", Napi::Function::New(env, &RemoveNamed));
  exports.Set("acceptNamed", Napi::Function::New(env, &AcceptNamed));
  exports.Set("connectNamed", Napi::Function::New(env, &ConnectNamed));
  exports.Set("connectNamedFromHost", Napi::Function::New(env, &ConnectNamedFromHost));
}

}  // namespace sandwire
