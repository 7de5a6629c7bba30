// A stream socket with file descriptors, for JavaScript: receive, send and readiness, each one call of
// libsandwire's socket I/O. Framing, queues and time belong to the TypeScript above.
//
// The fd stays in blocking mode. A call that must not wait says so itself (MSG_DONTWAIT); so synchronous and
// asynchronous use can alternate on one socket and a synchronous receive costs one syscall.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "environment.h"
#include "socket_calls.h"

extern "C" {
#include "socket_io.h"
}

#include <uv.h>

namespace sandwire {
namespace {

// libuv's handle outlives the JavaScript object until uv_close has called back.
struct PollHandle {
  uv_poll_t poll;
  class Socket *socket;  // null once closed
};

class Socket : public Napi::ObjectWrap<Socket> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "Socket",
                       {
                           InstanceMethod<&Socket::DefineCalls>("defineCalls"),
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

  // new Socket(fd, isExclusive): takes the fd over. isExclusive: no duplicate of it is anywhere, so that the
  // socket ends with this object.
  explicit Socket(const Napi::CallbackInfo &info) : Napi::ObjectWrap<Socket>(info) {
    const double number = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
    const int fd = number >= 0 && number <= INT32_MAX ? static_cast<int>(number) : -1;
    if (fd < 0 || fd != number) {
      Napi::TypeError::New(info.Env(), "the number of a Unix stream socket is needed")
          .ThrowAsJavaScriptException();
      return;
    }
    int type = 0;
    int domain = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0) {
      ThrowSystemError(info.Env(), errno, "getsockopt");
      return;
    }
    // Of others a message would be cut off where a receive ends, or no fd could come.
    if (type != SOCK_STREAM || domain != AF_UNIX) {
      const std::string what = "fd " + std::to_string(fd) + " is no Unix stream socket";
      Napi::TypeError::New(info.Env(), what).ThrowAsJavaScriptException();
      return;
    }
    state_->fd = fd;
    is_exclusive_ = info[1].ToBoolean();
    state_->closer = EnvironmentOf(info.Env()).closer;
    if (state_->closer != nullptr) sandwire_socket_keep_urgent(fd);
    cleanup_hooked_ = napi_add_env_cleanup_hook(info.Env(), &Socket::OnEnvironmentEnd, this) == napi_ok;
  }

  ~Socket() override {
    if (cleanup_hooked_) napi_remove_env_cleanup_hook(Env(), &Socket::OnEnvironmentEnd, this);
    Shut(true);
    ReleaseState(Env(), state_);
  }

 private:
  // The environment (a worker, or the process) ends before the object was collected.
  static void OnEnvironmentEnd(void *data) {
    Socket *socket = static_cast<Socket *>(data);
    socket->cleanup_hooked_ = false;
    socket->Shut(true);
  }

  void Shut(bool close_fd) {
    if (handle_ != nullptr) {
      handle_->socket = nullptr;
      uv_poll_stop(&handle_->poll);
      uv_close(reinterpret_cast<uv_handle_t *>(&handle_->poll),
               [](uv_handle_t *handle) { delete reinterpret_cast<PollHandle *>(handle); });
      handle_ = nullptr;
      polled_events_ = wanted_events_ = 0;
    }
    listener_.Reset();
    if (state_->fd >= 0 && close_fd) {
      if (is_exclusive_)
        CloseExclusive(state_->closer, state_->fd);
      else
        CloseForeign(state_->closer, state_->fd);
    }
    state_->fd = -1;
  }

  bool CheckOpen(Napi::Env env, const char *syscall) {
    if (state_->fd >= 0) return true;
    ThrowSystemError(env, EBADF, syscall);
    return false;
  }

  // defineCalls(): receive, send and their like become there. Making them takes longer than all the rest of a
  // Socket, and many a sandboxee's channel is never used.
  Napi::Value DefineCalls(const Napi::CallbackInfo &info) {
    DefineSocketCalls(info.Env(), info.This().As<Napi::Object>(), state_);
    return info.Env().Undefined();
  }

  // watch(readable, writable, listener): listener(readable, writable) from the event loop, level-triggered.
  Napi::Value Watch(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    if (!CheckOpen(env, "epoll_ctl")) return env.Undefined();
    wanted_events_ = (info[0].ToBoolean() ? UV_READABLE : 0) | (info[1].ToBoolean() ? UV_WRITABLE : 0);
    if (wanted_events_ == 0) {
      // Most often somebody waits again at once, so libuv goes on watching until an event comes that nobody
      // wants; two epoll_ctl() less for a message and its answer. Only the event loop is let go.
      if (handle_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t *>(&handle_->poll));
      // The listener reaches back to this object: held on to, neither could ever be collected.
      listener_.Reset();
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
    if (referenced_) uv_ref(reinterpret_cast<uv_handle_t *>(&handle_->poll));
    const int error = Poll();
    if (error != 0) ThrowSystemError(env, -error, "uv_poll_start");
    return env.Undefined();
  }

  // Has libuv watch for what is wanted.
  int Poll() {
    if (polled_events_ == wanted_events_) return 0;
    polled_events_ = wanted_events_;
    if (wanted_events_ == 0) return uv_poll_stop(&handle_->poll);
    return uv_poll_start(&handle_->poll, wanted_events_, &Socket::OnReady);
  }

  bool Open(Napi::Env env) {
    uv_loop_t *loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    PollHandle *handle = new PollHandle{{}, this};
    const int flags = fcntl(state_->fd, F_GETFL);
    int error = uv_poll_init(loop, &handle->poll, state_->fd);
    if (error != 0) {
      delete handle;
      ThrowSystemError(env, -error, "uv_poll_init");
      return false;
    }
    handle_ = handle;
    if (!referenced_) uv_unref(reinterpret_cast<uv_handle_t *>(&handle->poll));
    // libuv made the fd non-blocking; see the head of this file for why it stays as it was.
    if (flags < 0 || fcntl(state_->fd, F_SETFL, flags) != 0) {
      ThrowSystemError(env, errno, "fcntl");
      return false;
    }
    return true;
  }

  static void OnReady(uv_poll_t *poll, int status, int events) {
    Socket *socket = reinterpret_cast<PollHandle *>(poll)->socket;
    if (socket == nullptr) return;
    if (status < 0) {
      // POLLERR, as when the other end has closed with bytes of ours unread. libuv has stopped watching; the
      // receive or send that follows reports the error, and the socket goes on being watched for what else is
      // wanted.
      socket->polled_events_ = 0;
      events = socket->wanted_events_;
    }
    socket->Poll();
    events &= socket->wanted_events_;
    if (events == 0) return;
    Napi::Env env = socket->Env();
    Napi::HandleScope scope(env);
    bool readable = (events & UV_READABLE) != 0;
    bool writable = (events & UV_WRITABLE) != 0;
    napi_value arguments[] = {Napi::Boolean::New(env, readable), Napi::Boolean::New(env, writable)};
    napi_value result;
    napi_status called =
        napi_make_callback(env, nullptr, socket->Value(), socket->listener_.Value(), 2, arguments, &result);
    if (called == napi_pending_exception) {
      napi_value exception;
      napi_get_and_clear_last_exception(env, &exception);
      napi_fatal_exception(env, exception);
    }
  }

  // ref(keep): whether a watched socket keeps the event loop alive.
  Napi::Value Ref(const Napi::CallbackInfo &info) {
    referenced_ = info[0].ToBoolean();
    if (handle_ != nullptr) {
      uv_handle_t *handle = reinterpret_cast<uv_handle_t *>(&handle_->poll);
      if (referenced_)
        uv_ref(handle);
      else
        uv_unref(handle);
    }
    return info.Env().Undefined();
  }

  Napi::Value PeerCredentials(const Napi::CallbackInfo &info) {
    Napi::Env env = info.Env();
    if (!CheckOpen(env, "getsockopt")) return env.Undefined();
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(state_->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
      ThrowSystemError(env, errno, "getsockopt");
      return env.Undefined();
    }
    return ToObject(env, {credentials.pid, credentials.uid, credentials.gid});
  }

  static Napi::Object ToObject(Napi::Env env, const struct sandwire_credentials &credentials) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("pid", credentials.pid);
    object.Set("uid", credentials.uid);
    object.Set("gid", credentials.gid);
    return object;
  }

  // enableCredentials(): the kernel attaches the writer to what is received from now on.
  Napi::Value EnableCredentials(const Napi::CallbackInfo &info) {
    if (!CheckOpen(info.Env(), "setsockopt")) return info.Env().Undefined();
    const int on = 1;
    if (setsockopt(state_->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
      ThrowSystemError(info.Env(), errno, "setsockopt");
    }
    state_->wants_credentials = true;
    return info.Env().Undefined();
  }

  // writerCredentials(): who wrote the bytes received last; undefined if that was not attached. pid 0 is what
  // comes with bytes that were sent before it was enabled.
  Napi::Value WriterCredentials(const Napi::CallbackInfo &info) {
    if (!state_->wants_credentials || state_->writer.pid == 0) return info.Env().Undefined();
    return ToObject(info.Env(), state_->writer);
  }

  Napi::Value Close(const Napi::CallbackInfo &info) {
    Shut(true);
    return info.Env().Undefined();
  }

  // Gives the fd up without closing it.
  Napi::Value Release(const Napi::CallbackInfo &info) {
    int fd = state_->fd;
    Shut(false);
    return Napi::Number::New(info.Env(), fd);
  }

  Napi::Value Fd(const Napi::CallbackInfo &info) { return Napi::Number::New(info.Env(), state_->fd); }

  SocketState *const state_ = new SocketState;
  bool is_exclusive_ = false;
  int wanted_events_ = 0;  // UV_READABLE, UV_WRITABLE
  int polled_events_ = 0;  // what libuv watches for
  bool referenced_ = true;
  bool cleanup_hooked_ = false;
  PollHandle *handle_ = nullptr;
  Napi::FunctionReference listener_;
};

}  // namespace

Napi::Function DefineSocket(Napi::Env env) {
  return Socket::Define(env);
}

}  // namespace sandwire
