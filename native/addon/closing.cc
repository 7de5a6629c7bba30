// Closing, for a host, what peers sent: in threads of a closer's (libsandwire's closer.h), as the event loop
// must not wait for a peer.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "environment.h"

extern "C" {
#include "socket_io.h"
}

namespace sandwire {

void CloseForeign(const Closer &closer, int fd) {
  if (closer != nullptr)
    sandwire_closer_close(closer.get(), fd);
  else
    close(fd);
}

void CloseExclusive(const Closer &closer, int fd) {
  if (closer != nullptr)
    sandwire_closer_close_exclusive(closer.get(), fd);
  else
    close(fd);
}

namespace {

// guard(): from now on this environment closes aside. Throws a system error if there are no threads for that.
Napi::Value Guard(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  Closer &closer = EnvironmentOf(env).closer;
  if (closer == nullptr) {
    sandwire_closer *made = sandwire_closer_create();
    if (made == nullptr)
      ThrowSystemError(env, errno, "pthread_create");
    else
      closer = Closer(made, &sandwire_closer_destroy);
  }
  return env.Undefined();
}

// closeAside(fd): closes what a peer has sent, or may have put something into. Throws EBADF.
Napi::Value CloseAside(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  if (fcntl(fd, F_GETFD) < 0) {
    ThrowSystemError(info.Env(), errno, "close");
  } else {
    CloseForeign(EnvironmentOf(info.Env()).closer, fd);
  }
  return info.Env().Undefined();
}

// closeSandboxeeEnd(fd): closes the end of a pair of ours that a sandboxee has been given. What waits in it
// was sent here.
Napi::Value CloseSandboxeeEnd(const Napi::CallbackInfo &info) {
  if (!sandwire_socket_is_empty(info[0].ToNumber().Int32Value())) return CloseAside(info);
  close(info[0].ToNumber().Int32Value());
  return info.Env().Undefined();
}

// refuseFds(fd): whoever sends fds to this socket gets EPERM. Linux 6.16; before, they arrive.
Napi::Value RefuseFds(const Napi::CallbackInfo &info) {
#ifndef SO_PASSRIGHTS
  constexpr int SO_PASSRIGHTS = 83;
#endif
  const int off = 0;
  (void)setsockopt(info[0].ToNumber().Int32Value(), SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off);
  return info.Env().Undefined();
}

}  // namespace

void DefineClosing(Napi::Env env, Napi::Object exports) {
  exports.Set("guard", Napi::Function::New(env, &Guard));
  exports.Set("closeAside", Napi::Function::New(env, &CloseAside));
  exports.Set("refuseFds", Napi::Function::New(env, &RefuseFds));
  exports.Set("closeSandboxeeEnd", Napi::Function::New(env, &CloseSandboxeeEnd));
}

}  // namespace sandwire
