// A Node process as a fork server: libsandwire's forking client, with what makes fork() work for V8 and libuv
// in its hooks. Runs in the fork server, unsandboxed; a child returns from here in its sandbox, under no
// policy yet.
//
// Of Node's threads only the calling one is there in a child. Those of libuv's pool are made anew when they
// are needed (libuv's own pthread_atfork); V8's one worker and Node's timer and signal threads stay away, and
// nothing may wait for them: see sandboxee-node/fork-readiness.ts and leaving.cc.
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "environment.h"

#include <uv.h>

extern "C" {
#include "forkable_memory.h"
#include "other_threads.h"
#include "sandwire/forking_client.h"
#include "shared_memory.h"
}

namespace sandwire {
namespace {

// How long threads may take to fall asleep before a fork; idle ones do at once.
constexpr int kSleepLimitMs = 10000;

class ForkingClient : public Napi::ObjectWrap<ForkingClient> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ForkingClient",
                       {
                           InstanceMethod<&ForkingClient::WaitAndFork>("waitAndFork"),
                           InstanceMethod<&ForkingClient::EnterForkLoop>("enterForkLoop"),
                           InstanceMethod<&ForkingClient::TakeComms>("takeComms"),
                           InstanceAccessor<&ForkingClient::ErrorText>("errorText"),
                       });
  }

  // new ForkingClient(fd, maxThreads): takes the fd over.
  explicit ForkingClient(const Napi::CallbackInfo &info) : Napi::ObjectWrap<ForkingClient>(info) {
    if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsNumber()) {
      Napi::TypeError::New(info.Env(), "ForkingClient(fd, maxThreads): bad arguments")
          .ThrowAsJavaScriptException();
      return;
    }
    napi_get_uv_event_loop(info.Env(), &loop_);
    comms_ = sandwire_comms_create(info[0].As<Napi::Number>().Int32Value());
    client_ = comms_ == nullptr ? nullptr : sandwire_forking_client_create(comms_);
    if (client_ == nullptr) {
      ThrowSystemError(info.Env(), errno, "getsockopt");
      return;
    }
    sandwire_forking_options options = {};
    options.max_threads = info[1].As<Napi::Number>().Uint32Value();
    options.before_fork = &ForkingClient::BeforeFork;
    options.after_fork_in_child = &ForkingClient::AfterFork;
    options.context = this;
    sandwire_forking_client_set_options(client_, &options);
  }

  ~ForkingClient() override { Release(); }

 private:
  void Release() {
    sandwire_forking_client_destroy(client_);
    sandwire_comms_destroy(comms_);
    client_ = nullptr;
    comms_ = nullptr;
  }

  // In the fork server. No JavaScript runs from Prepare() on, so mostly there is nothing new to advise.
  static int BeforeFork(void *self) {
    return forkable_memory_apply(&static_cast<ForkingClient *>(self)->memory_);
  }

  // In the child, in its sandbox, without privilege. All that the loop had open is replaced.
  static int AfterFork(void *context) {
    ForkingClient *self = static_cast<ForkingClient *>(context);
    // Without io_uring, which the supervisor refuses to a fork server and all that it forks.
    const int error = uv_loop_fork(self->loop_);
    if (error != 0) return -error;
    uv_update_time(self->loop_);
    return 0;
  }

  // All that can be done while no request is waiting.
  bool Prepare(Napi::Env env) {
    if (client_ == nullptr) {
      ThrowSystemError(env, EBADF, "recvmsg");
      return false;
    }
    int error = forkable_memory_apply(&memory_);
    const char *step = "open /proc/self/maps";
    if (error == 0) {
      step = "waiting for the other threads to sleep";
      error = other_threads_await_sleep(kSleepLimitMs);
    }
    if (error == 0) return true;
    ThrowSystemError(env, error, step);
    return false;
  }

  // waitAndFork(): 0 in a child, the pid of a short-lived process in the fork server, or a negative error of
  // libsandwire's.
  Napi::Value WaitAndFork(const Napi::CallbackInfo &info) {
    if (!Prepare(info.Env())) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), sandwire_forking_client_wait_and_fork(client_));
  }

  // enterForkLoop(): 0 in a child; in the fork server, when there is nothing more to serve, a negative error.
  Napi::Value EnterForkLoop(const Napi::CallbackInfo &info) {
    if (!Prepare(info.Env())) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), -static_cast<int>(sandwire_forking_client_enter_fork_loop(client_)));
  }

  // takeComms(): in a child, the fd of its channel, and the end of this object.
  Napi::Value TakeComms(const Napi::CallbackInfo &info) {
    const int wanted = comms_ == nullptr ? -1 : sandwire_comms_fd(comms_);
    const int kept = wanted < 0 ? -1 : fcntl(wanted, F_DUPFD_CLOEXEC, 3);
    if (kept < 0) {
      ThrowSystemError(info.Env(), wanted < 0 ? EBADF : errno, "fcntl");
      return info.Env().Undefined();
    }
    Release();
    if (dup3(kept, wanted, O_CLOEXEC) < 0) {
      ThrowSystemError(info.Env(), errno, "dup3");
      return info.Env().Undefined();
    }
    close(kept);
    return Napi::Number::New(info.Env(), wanted);
  }

  Napi::Value ErrorText(const Napi::CallbackInfo &info) {
    return Napi::String::New(info.Env(), comms_ == nullptr ? "" : sandwire_comms_error_text(comms_));
  }

  uv_loop_t *loop_ = nullptr;
  sandwire_comms *comms_ = nullptr;
  sandwire_forking_client *client_ = nullptr;
  forkable_memory memory_ = {};
};

// pollHandles(): the types of what this environment's loop listens to for others – connections, pipes,
// watched files – whether or not it keeps the loop alive: a child would share it with the fork server, and
// its loop fail over it.
Napi::Value PollHandles(const Napi::CallbackInfo &info) {
  uv_loop_t *loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  std::vector<std::string> names;
  uv_walk(
      loop,
      [](uv_handle_t *handle, void *context) {
        const uv_handle_type type = uv_handle_get_type(handle);
        const bool is_foreign = type == UV_TCP || type == UV_NAMED_PIPE || type == UV_TTY || type == UV_UDP ||
                                type == UV_POLL || type == UV_FS_EVENT || type == UV_FS_POLL ||
                                type == UV_PROCESS;
        if (is_foreign && uv_is_active(handle)) {
          static_cast<std::vector<std::string> *>(context)->push_back(uv_handle_type_name(type));
        }
      },
      &names);
  Napi::Array result = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); i++)
    result.Set(static_cast<uint32_t>(i), names[i]);
  return result;
}

// sharedMemory(): the name of what is mapped here, shared, and can be written to; undefined if nothing is.
// Looked for before each fork too, but there it can be told to the host alone.
Napi::Value SharedMemory(const Napi::CallbackInfo &info) {
  char name[100];
  const int found = sandwire_find_shared_memory(false, name, sizeof name);
  if (found < 0) ThrowSystemError(info.Env(), errno, "open /proc/self/maps");
  return found > 0 ? Napi::String::New(info.Env(), name) : info.Env().Undefined();
}

// ownPid(): as the kernel says; process.pid is from the time the process was not forked yet.
Napi::Value OwnPid(const Napi::CallbackInfo &info) {
  return Napi::Number::New(info.Env(), getpid());
}

// fillRandom(into): by getrandom(2).
Napi::Value FillRandom(const Napi::CallbackInfo &info) {
  if (info.Length() < 1 || !info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().ByteLength() > 256) {
    Napi::TypeError::New(info.Env(), "fillRandom needs a typed array of at most 256 bytes")
        .ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  Napi::TypedArray into = info[0].As<Napi::TypedArray>();
  char *bytes = static_cast<char *>(into.ArrayBuffer().Data()) + into.ByteOffset();
  // Up to 256 bytes come whole or not at all (getrandom(2)).
  if (getrandom(bytes, into.ByteLength(), 0) < 0) ThrowSystemError(info.Env(), errno, "getrandom");
  return info.Env().Undefined();
}

}  // namespace

void DefineForking(Napi::Env env, Napi::Object exports) {
  exports.Set("ForkingClient", ForkingClient::Define(env));
  exports.Set("pollHandles", Napi::Function::New(env, &PollHandles));
  exports.Set("sharedMemory", Napi::Function::New(env, &SharedMemory));
  exports.Set("ownPid", Napi::Function::New(env, &OwnPid));
  exports.Set("fillRandom", Napi::Function::New(env, &FillRandom));
}

}  // namespace sandwire
