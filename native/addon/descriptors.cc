// What Node's own API cannot do with file descriptors: socket pairs and duplicates, all close-on-exec.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "environment.h"

namespace sandwire {
namespace {

// What either end may have on its way, in bytes; the kernel counts its own overhead too and so doubles it:
// socket(7). That is about twice what a socket has without asking, and a large message needs half as many
// turns of its two ends. No more, since it is kernel memory that every sandboxee can fill.
constexpr int kSendBuffer = 208 << 10;

Napi::Value PairOf(Napi::Env env, const int (&pair)[2]) {
  for (const int fd : pair) {
    // Never fails for a socket; and without it all goes as well, only slower.
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof kSendBuffer);
  }
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, Napi::Number::New(env, pair[0]));
  result.Set(1u, Napi::Number::New(env, pair[1]));
  return result;
}

// socketPair(): [fd, fd], stream sockets, close-on-exec.
Napi::Value SocketPair(const Napi::CallbackInfo &info) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    ThrowSystemError(info.Env(), errno, "socketpair");
    return info.Env().Undefined();
  }
  return PairOf(info.Env(), pair);
}

// socketPairForSandboxee(): the same, in a network namespace that holds nothing (empty_network.h).
Napi::Value SocketPairForSandboxee(const Napi::CallbackInfo &info) {
  int pair[2];
  const int result =
      sandwire_empty_network_pair(&info.Env().GetInstanceData<Environment>()->empty_network, pair);
  if (result != 0) {
    ThrowSystemError(info.Env(), -result, "socketpair in a network namespace of its own");
    return info.Env().Undefined();
  }
  return PairOf(info.Env(), pair);
}

// duplicate(fd): a close-on-exec duplicate.
Napi::Value Duplicate(const Napi::CallbackInfo &info) {
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

// closeFd(fd): as fs.closeSync(), which in a worker thread would warn of every fd that fs has not opened
// there.
Napi::Value CloseFd(const Napi::CallbackInfo &info) {
  // EINTR and EIO come after Linux has let the fd go: close(2).
  if (close(info[0].ToNumber().Int32Value()) != 0 && errno == EBADF)
    ThrowSystemError(info.Env(), errno, "close");
  return info.Env().Undefined();
}

// Does not wait for a file system, as fstat() may, nor for whoever reads or writes by the same description,
// as getdents64() does (fdget_pos() in the kernel's fs/file.c).
bool IsOpenDirectory(int fd) {
  struct statx status;
  return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
         S_ISDIR(status.stx_mode);
}

// isOpen(fd)
Napi::Value IsOpen(const Napi::CallbackInfo &info) {
  return Napi::Boolean::New(info.Env(), fcntl(info[0].ToNumber().Int32Value(), F_GETFD) >= 0);
}

// isDirectory(fd): false also for what is not open; whoever uses it finds that out. Asked for each fd that is
// sent, so without the C++ wrappers, which take as long as the rest.
napi_value IsDirectory(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument = nullptr, result = nullptr;
  int32_t fd = -1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  const bool is_number = napi_get_value_int32(env, argument, &fd) == napi_ok;
  napi_get_boolean(env, is_number && IsOpenDirectory(fd), &result);
  return result;
}

// shutDown(fd): what has come to the socket can still be read, then it is at its end; nothing can be sent any
// more.
Napi::Value ShutDown(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  // ENOTCONN: the other end was faster.
  if (shutdown(fd, SHUT_RDWR) != 0 && errno != ENOTCONN) ThrowSystemError(info.Env(), errno, "shutdown");
  return info.Env().Undefined();
}

// limitWaits(fd, milliseconds): a send or receive that waits comes back so soon with nothing done, as if it
// had not waited.
Napi::Value LimitWaits(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const int64_t milliseconds = info[1].ToNumber().Int64Value();
  timeval limit = {};
  limit.tv_sec = milliseconds / 1000;
  limit.tv_usec = milliseconds % 1000 * 1000;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    ThrowSystemError(info.Env(), errno, "setsockopt");
  }
  return info.Env().Undefined();
}

// replaceFd(fd, target): target, which is open, and quick to close, becomes a close-on-exec duplicate of fd,
// and fd is closed. What has target as its fd goes on with it.
Napi::Value ReplaceFd(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const int target = info[1].ToNumber().Int32Value();
  if (dup3(fd, target, O_CLOEXEC) < 0) {
    ThrowSystemError(info.Env(), errno, "dup3");
  } else {
    CloseForeign(EnvironmentOf(info.Env()).closer, fd);
  }
  return info.Env().Undefined();
}

}  // namespace

void DefineDescriptors(Napi::Env env, Napi::Object exports) {
  exports.Set("socketPair", Napi::Function::New(env, &SocketPair));
  exports.Set("socketPairForSandboxee", Napi::Function::New(env, &SocketPairForSandboxee));
  exports.Set("duplicate", Napi::Function::New(env, &Duplicate));
  exports.Set("closeFd", Napi::Function::New(env, &CloseFd));
  napi_value is_directory = nullptr;
  if (napi_create_function(env, "isDirectory", NAPI_AUTO_LENGTH, &IsDirectory, nullptr, &is_directory) ==
      napi_ok) {
    exports.Set("isDirectory", is_directory);
  }
  exports.Set("isOpen", Napi::Function::New(env, &IsOpen));
  exports.Set("limitWaits", Napi::Function::New(env, &LimitWaits));
  exports.Set("shutDown", Napi::Function::New(env, &ShutDown));
  exports.Set("replaceFd", Napi::Function::New(env, &ReplaceFd));
}

}  // namespace sandwire
