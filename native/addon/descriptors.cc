// File descriptors that Node's own API cannot make: socket pairs and close-on-exec duplicates.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "environment.h"

namespace sandwire {
namespace {

// socketPair(): [fd, fd], stream sockets, close-on-exec.
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    ThrowSystemError(info.Env(), errno, "socketpair");
    return info.Env().Undefined();
  }
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, Napi::Number::New(info.Env(), pair[0]));
  result.Set(1u, Napi::Number::New(info.Env(), pair[1]));
  return result;
}

// duplicate(fd): a close-on-exec duplicate.
Napi::Value Duplicate(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsNumber()) {
    Napi::TypeError::New(info.Env(), "duplicate needs a file descriptor number").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  int fd = fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 3);
  if (fd < 0) {
    ThrowSystemError(info.Env(), errno, "fcntl");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), fd);
}

}  // namespace

void DefineDescriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("socketPair", Napi::Function::New(env, &SocketPair));
  exports.Set("duplicate", Napi::Function::New(env, &Duplicate));
}

}  // namespace sandwire
