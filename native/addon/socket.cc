// A stream socket with file descriptors, for JavaScript: receive, send and readiness, each one call of
// libsandwire's socket I/O. Framing, queues and time belong to the TypeScript above.
//
// The fd stays in blocking mode. A call that must not wait says so itself (MSG_DONTWAIT); so synchronous and
// asynchronous use can alternate on one socket and a synchronous receive costs one syscall.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "environment.h"

#include <uv.h>

extern "C" {
#include "sandwire/comms.h"
#include "socket_io.h"
}

namespace sandwire {
namespace {

// libuv's handle outlives the JavaScript object until uv_close has called back.
struct PollHandle {
  uv_poll_t poll;
  class Socket* socket;  // null once closed
};

class Socket : public Napi::ObjectWrap<Socket> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Socket",
                       {
                           InstanceMethod<&Socket::Receive>("receive"),
                           InstanceMethod<&Socket::Send>("send"),
                           InstanceMethod<&Socket::Watch>("watch"),
                           InstanceMethod<&Socket::Ref>("ref"),
                           InstanceMethod<&Socket::PeerCredentials>("peerCredentials"),
                           InstanceMethod<&Socket::EnableCredentials>("enableCredentials"),
                           InstanceMethod<&Socket::WriterCredentials>("writerCredentials"),
                           InstanceMethod<&Socket::Close>("close"),
                           InstanceMethod<&Socket::Release>("release"),
                           InstanceAccessor<&Socket::Fd>("fd"),
                       });
  }

  // new Socket(fd): takes the fd over.
  explicit Socket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Socket>(info) {
    if (info.Length() < 1 || !info[0].IsNumber()) {
      Napi::TypeError::New(info.Env(), "Socket needs a file descriptor number").ThrowAsJavaScriptException();
      return;
    }
    int fd = info[0].As<Napi::Number>().Int32Value();
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
      ThrowSystemError(info.Env(), errno, "getsockopt");
      return;
    }
    fd_ = fd;
    cleanup_hooked_ = napi_add_env_cleanup_hook(info.Env(), &Socket::OnEnvironmentEnd, this) == napi_ok;
  }

  ~Socket() override {
    if (cleanup_hooked_) napi_remove_env_cleanup_hook(Env(), &Socket::OnEnvironmentEnd, this);
    Shut(true);
  }

 private:
  // The environment (a worker, or the process) ends before the object was collected.
  static void OnEnvironmentEnd(void* data) {
    Socket* socket = static_cast<Socket*>(data);
    socket->cleanup_hooked_ = false;
    socket->Shut(true);
  }

  void Shut(bool close_fd) {
    if (handle_ != nullptr) {
      handle_->socket = nullptr;
      uv_poll_stop(&handle_->poll);
      uv_close(reinterpret_cast<uv_handle_t*>(&handle_->poll),
               [](uv_handle_t* handle) { delete reinterpret_cast<PollHandle*>(handle); });
      handle_ = nullptr;
    }
    listener_.Reset();
    if (fd_ >= 0 && close_fd) close(fd_);
    fd_ = -1;
  }

  bool CheckOpen(Napi::Env env, const char* syscall) {
    if (fd_ >= 0) return true;
    ThrowSystemError(env, EBADF, syscall);
    return false;
  }

  // receive(into, offset, length, fds, wait, timeoutMs): bytes, 0 at the end, -1 when nothing came.
  Napi::Value Receive(const Napi::CallbackInfo& info) {
    napi_env env = info.Env();
    if (!CheckOpen(info.Env(), "recvmsg")) return info.Env().Undefined();
    void* data = nullptr;
    size_t available = 0;
    uint32_t offset = 0, length = 0;
    bool wait = false;
    int64_t timeout_ms = -1;
    if (napi_get_typedarray_info(env, info[0], nullptr, &available, &data, nullptr, nullptr) != napi_ok ||
        napi_get_value_uint32(env, info[1], &offset) != napi_ok ||
        napi_get_value_uint32(env, info[2], &length) != napi_ok ||
        napi_get_value_bool(env, info[4], &wait) != napi_ok ||
        napi_get_value_int64(env, info[5], &timeout_ms) != napi_ok || length == 0 || offset > available ||
        length > available - offset) {
      Napi::TypeError::New(env, "receive(into, offset, length, fds, wait, timeoutMs): bad arguments")
          .ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    if (wait && timeout_ms >= 0) {
      int ready = WaitReadable(timeout_ms);
      if (ready < 0) {
        ThrowSystemError(info.Env(), errno, "poll");
        return info.Env().Undefined();
      }
      if (ready == 0) return Napi::Number::New(env, -1);
    }
    int received_fd = -1;
    ssize_t count = sandwire_socket_receive_credentials(fd_, static_cast<char*>(data) + offset, length,
                                                        wait ? 0 : MSG_DONTWAIT, &received_fd,
                                                        wants_credentials_ ? &writer_ : nullptr);
    if (received_fd >= 0) {
      Napi::Array fds = info[3].As<Napi::Array>();
      fds.Set(fds.Length(), Napi::Number::New(env, received_fd));
    }
    if (count >= 0) return Napi::Number::New(env, static_cast<double>(count));
    if (count == -EAGAIN) return Napi::Number::New(env, -1);
    if (count == SANDWIRE_IO_SURPLUS_FD) {
      Napi::Error error = Napi::Error::New(
          env, "recvmsg: more file descriptors came with a message than it may carry; all were closed");
      error.Set("code", Napi::String::New(env, "SURPLUS_FD"));
      error.ThrowAsJavaScriptException();
    } else {
      ThrowSystemError(info.Env(), static_cast<int>(-count), "recvmsg");
    }
    return info.Env().Undefined();
  }

  // 1 readable (or at its end), 0 timed out, -1 with errno.
  int WaitReadable(int64_t timeout_ms) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t deadline = now.tv_sec * 1000 + now.tv_nsec / 1000000 + timeout_ms;
    for (int64_t left = timeout_ms;;) {
      struct pollfd poll_fd = {fd_, POLLIN, 0};
      int ready = poll(&poll_fd, 1, left > INT32_MAX ? INT32_MAX : static_cast<int>(left));
      if (ready > 0 || (ready < 0 && errno != EINTR)) return ready;
      clock_gettime(CLOCK_MONOTONIC, &now);
      left = deadline - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
      if (left <= 0) return 0;
    }
  }

  // send(bytes, offset, length, fd, wait): bytes taken, -1 when the socket is full.
  Napi::Value Send(const Napi::CallbackInfo& info) {
    napi_env env = info.Env();
    if (!CheckOpen(info.Env(), "sendmsg")) return info.Env().Undefined();
    void* data = nullptr;
    size_t available = 0;
    uint32_t offset = 0, length = 0;
    int32_t fd = -1;
    bool wait = false;
    if (napi_get_typedarray_info(env, info[0], nullptr, &available, &data, nullptr, nullptr) != napi_ok ||
        napi_get_value_uint32(env, info[1], &offset) != napi_ok ||
        napi_get_value_uint32(env, info[2], &length) != napi_ok ||
        napi_get_value_int32(env, info[3], &fd) != napi_ok || napi_get_value_bool(env, info[4], &wait) != napi_ok ||
        length == 0 || offset > available || length > available - offset) {
      Napi::TypeError::New(env, "send(bytes, offset, length, fd, wait): bad arguments").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    struct iovec part = {static_cast<char*>(data) + offset, length};
    ssize_t count = sandwire_socket_send(fd_, &part, 1, wait ? 0 : MSG_DONTWAIT, fd);
    if (count >= 0) return Napi::Number::New(env, static_cast<double>(count));
    if (count == -EAGAIN) return Napi::Number::New(env, -1);
    ThrowSystemError(info.Env(), static_cast<int>(-count), "sendmsg");
    return info.Env().Undefined();
  }

  // watch(readable, writable, listener): listener(readable, writable) from the event loop, level-triggered.
  Napi::Value Watch(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!CheckOpen(env, "epoll_ctl")) return env.Undefined();
    int events = (info[0].ToBoolean() ? UV_READABLE : 0) | (info[1].ToBoolean() ? UV_WRITABLE : 0);
    if (events == 0) {
      if (handle_ != nullptr) uv_poll_stop(&handle_->poll);
      return env.Undefined();
    }
    if (info.Length() > 2 && info[2].IsFunction()) {
      // The same function again and again is the rule; a reference is only made for a new one.
      if (listener_.IsEmpty() || !listener_.Value().StrictEquals(info[2])) {
        listener_ = Napi::Persistent(info[2].As<Napi::Function>());
      }
    } else if (listener_.IsEmpty()) {
      Napi::TypeError::New(env, "watch: a listener function is needed").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    if (handle_ == nullptr && !Open(env)) return env.Undefined();
    watched_events_ = events;
    int error = uv_poll_start(&handle_->poll, events, &Socket::OnReady);
    if (error != 0) ThrowSystemError(env, -error, "uv_poll_start");
    return env.Undefined();
  }

  bool Open(Napi::Env env) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    PollHandle* handle = new PollHandle{{}, this};
    const int flags = fcntl(fd_, F_GETFL);
    int error = uv_poll_init(loop, &handle->poll, fd_);
    if (error != 0) {
      delete handle;
      ThrowSystemError(env, -error, "uv_poll_init");
      return false;
    }
    handle_ = handle;
    if (!referenced_) uv_unref(reinterpret_cast<uv_handle_t*>(&handle->poll));
    // libuv made the fd non-blocking; see the head of this file for why it stays as it was.
    if (flags < 0 || fcntl(fd_, F_SETFL, flags) != 0) {
      ThrowSystemError(env, errno, "fcntl");
      return false;
    }
    return true;
  }

  static void OnReady(uv_poll_t* poll, int status, int events) {
    Socket* socket = reinterpret_cast<PollHandle*>(poll)->socket;
    if (socket == nullptr) return;
    Napi::Env env = socket->Env();
    Napi::HandleScope scope(env);
    if (status < 0) {
      // POLLERR, as when the other end has closed with bytes of ours unread. libuv has stopped watching; the receive or
      // send that follows reports the error, and the socket goes on being watched for what else is wanted.
      events = socket->watched_events_;
      uv_poll_start(poll, events, &Socket::OnReady);
    }
    bool readable = (events & UV_READABLE) != 0;
    bool writable = (events & UV_WRITABLE) != 0;
    napi_value arguments[] = {Napi::Boolean::New(env, readable), Napi::Boolean::New(env, writable)};
    napi_value result;
    napi_status called = napi_make_callback(env, nullptr, socket->Value(), socket->listener_.Value(), 2, arguments,
                                            &result);
    if (called == napi_pending_exception) {
      napi_value exception;
      napi_get_and_clear_last_exception(env, &exception);
      napi_fatal_exception(env, exception);
    }
  }

  // ref(keep): whether a watched socket keeps the event loop alive.
  Napi::Value Ref(const Napi::CallbackInfo& info) {
    referenced_ = info[0].ToBoolean();
    if (handle_ != nullptr) {
      uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(&handle_->poll);
      if (referenced_) uv_ref(handle);
      else uv_unref(handle);
    }
    return info.Env().Undefined();
  }

  Napi::Value PeerCredentials(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!CheckOpen(env, "getsockopt")) return env.Undefined();
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
      ThrowSystemError(env, errno, "getsockopt");
      return env.Undefined();
    }
    return ToObject(env, {credentials.pid, credentials.uid, credentials.gid});
  }

  static Napi::Object ToObject(Napi::Env env, const struct sandwire_credentials& credentials) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("pid", credentials.pid);
    object.Set("uid", credentials.uid);
    object.Set("gid", credentials.gid);
    return object;
  }

  // enableCredentials(): the kernel attaches the writer to what is received from now on.
  Napi::Value EnableCredentials(const Napi::CallbackInfo& info) {
    if (!CheckOpen(info.Env(), "setsockopt")) return info.Env().Undefined();
    const int on = 1;
    if (setsockopt(fd_, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
      ThrowSystemError(info.Env(), errno, "setsockopt");
    }
    wants_credentials_ = true;
    return info.Env().Undefined();
  }

  // writerCredentials(): who wrote the bytes received last; undefined if that was not attached. pid 0 is what comes
  // with bytes that were sent before it was enabled.
  Napi::Value WriterCredentials(const Napi::CallbackInfo& info) {
    if (!wants_credentials_ || writer_.pid == 0) return info.Env().Undefined();
    return ToObject(info.Env(), writer_);
  }

  Napi::Value Close(const Napi::CallbackInfo& info) {
    Shut(true);
    return info.Env().Undefined();
  }

  // Gives the fd up without closing it.
  Napi::Value Release(const Napi::CallbackInfo& info) {
    int fd = fd_;
    Shut(false);
    return Napi::Number::New(info.Env(), fd);
  }

  Napi::Value Fd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_); }

  int fd_ = -1;
  int watched_events_ = 0;  // UV_READABLE, UV_WRITABLE
  bool referenced_ = true;
  bool cleanup_hooked_ = false;
  bool wants_credentials_ = false;
  struct sandwire_credentials writer_ = {0, 0, 0};
  PollHandle* handle_ = nullptr;
  Napi::FunctionReference listener_;
};

}  // namespace

Napi::Function DefineSocket(Napi::Env env) { return Socket::Define(env); }

}  // namespace sandwire
