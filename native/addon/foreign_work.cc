#include "foreign_work.h"

#include <cerrno>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "environment.h"

extern "C" {
#include "aside.h"
}

#include <uv.h>

namespace sandwire {
namespace {

// Each stream from a peer may have one that waits for it.
constexpr unsigned kMostThreads = 512;

void CallBack(napi_env env, napi_value callback, napi_value error, napi_value value) {
  napi_value receiver = nullptr, result = nullptr;
  napi_get_global(env, &receiver);
  napi_value arguments[] = {error, value};
  if (napi_make_callback(env, nullptr, receiver, callback, 2, arguments, &result) == napi_pending_exception) {
    napi_value exception = nullptr;
    napi_get_and_clear_last_exception(env, &exception);
    napi_fatal_exception(env, exception);
  }
}

}  // namespace

// What the event loop shares with the threads; whichever has it last deletes it.
struct ForeignWorkers::Shared {
  struct Handle {
    uv_async_t async;
    std::shared_ptr<Shared> shared;
  };
  struct Job {
    sandwire_aside_job job;  // the first member
    uint64_t id;
    std::unique_ptr<ForeignWork> work;
    std::shared_ptr<Shared> shared;
  };
  struct Done {
    uint64_t id;
    std::unique_ptr<ForeignWork> work;
  };

  napi_env env = nullptr;
  sandwire_aside *aside = nullptr;
  // The event loop's alone.
  uint64_t last_id = 0;
  std::unordered_map<uint64_t, Napi::FunctionReference> callbacks;

  std::mutex lock;           // of what follows
  Handle *handle = nullptr;  // null once the environment ends
  std::deque<Done> done;

  ~Shared() { sandwire_aside_release(aside); }

  // In a thread.
  static void Run(sandwire_aside_job *pointer) {
    const std::unique_ptr<Job> job(reinterpret_cast<Job *>(pointer));
    job->work->Do();
    const std::lock_guard<std::mutex> hold(job->shared->lock);
    if (job->shared->handle == nullptr) return;
    job->shared->done.push_back({job->id, std::move(job->work)});
    uv_async_send(&job->shared->handle->async);
  }

  bool TakeDone(Done *next) {
    const std::lock_guard<std::mutex> hold(lock);
    if (done.empty()) return false;
    *next = std::move(done.front());
    done.pop_front();
    return true;
  }

  static void OnDone(uv_async_t *async) {
    const std::shared_ptr<Shared> self = reinterpret_cast<Handle *>(async)->shared;
    Napi::Env env(self->env);
    Done next;
    while (self->TakeDone(&next)) {
      Napi::HandleScope scope(env);
      const auto found = self->callbacks.find(next.id);
      const Napi::Function callback = found->second.Value();
      self->callbacks.erase(found);
      if (self->callbacks.empty()) uv_unref(reinterpret_cast<uv_handle_t *>(async));
      CallBack(env, callback, next.work->Error(env), next.work->Value(env));
    }
  }

  static void OnEnvironmentEnd(void *data) { static_cast<Shared *>(data)->Close(); }

  // What still runs in threads is told to nobody.
  void Close() {
    const std::lock_guard<std::mutex> hold(lock);
    uv_close(reinterpret_cast<uv_handle_t *>(&handle->async),
             [](uv_handle_t *closed) { delete reinterpret_cast<Handle *>(closed); });
    handle = nullptr;
    done.clear();
    callbacks.clear();
  }
};

ForeignWorkers::ForeignWorkers(Napi::Env env) : shared_(std::make_shared<Shared>()) {
  shared_->env = env;
  shared_->aside = sandwire_aside_create(kMostThreads);
  if (shared_->aside == nullptr) return;
  auto *handle = new Shared::Handle{{}, shared_};
  uv_loop_t *loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      uv_async_init(loop, &handle->async, &Shared::OnDone) != 0) {
    delete handle;
    return;
  }
  uv_unref(reinterpret_cast<uv_handle_t *>(&handle->async));
  shared_->handle = handle;
  napi_add_env_cleanup_hook(env, &Shared::OnEnvironmentEnd, shared_.get());
}

ForeignWorkers::~ForeignWorkers() {
  if (shared_->handle == nullptr) return;
  napi_remove_env_cleanup_hook(shared_->env, &Shared::OnEnvironmentEnd, shared_.get());
  shared_->Close();
}

void ForeignWorkers::Begin(Napi::Env env, std::unique_ptr<ForeignWork> work, Napi::Function callback) {
  const int error = shared_->handle == nullptr ? -ENOMEM : sandwire_aside_start(shared_->aside);
  if (error != 0) {
    ThrowSystemError(env, -error, "pthread_create");
    return;
  }
  if (shared_->callbacks.empty()) uv_ref(reinterpret_cast<uv_handle_t *>(&shared_->handle->async));
  const uint64_t id = ++shared_->last_id;
  shared_->callbacks.emplace(id, Napi::Persistent(callback));
  auto *job = new Shared::Job{{&Shared::Run, nullptr}, id, std::move(work), shared_};
  sandwire_aside_do(shared_->aside, &job->job);
}

}  // namespace sandwire
