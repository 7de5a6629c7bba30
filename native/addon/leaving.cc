// How a forked Node process ends. Node's own way joins threads that a child does not have, or waits for work
// that they should do. So the end of the event loop is detected here, and the process leaves by _exit(). Runs
// in a forked sandboxee, under its policy.
#include <unistd.h>

#include "environment.h"

#include <uv.h>

namespace sandwire {
namespace {

// This many turns of the loop in a row must find nothing to wait for. V8's tasks for the main thread (the
// steps of an asynchronous compilation, for example) do not keep the loop alive, and each may create the
// next.
constexpr int kQuietTurns = 16;

// Keeps the loop alive by itself, because Node must not see it end. Lives as long as the process.
struct EndWatch {
  uv_prepare_t prepare;
  uv_idle_t idle;  // while active, the loop polls without waiting
  int quiet_turns = 0;
  napi_env env = nullptr;
  Napi::FunctionReference callback;
};

void OnIdle(uv_idle_t *) {
}

void Call(EndWatch *watch, bool is_last) {
  Napi::HandleScope scope(watch->env);
  napi_value argument = Napi::Boolean::New(watch->env, is_last);
  napi_value result;
  napi_status called = napi_make_callback(watch->env, nullptr, Napi::Env(watch->env).Global(),
                                          watch->callback.Value(), 1, &argument, &result);
  if (called == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(watch->env, &exception);
    napi_fatal_exception(watch->env, exception);
  }
}

bool IsAliveWithout(uv_prepare_t *prepare) {
  uv_unref(reinterpret_cast<uv_handle_t *>(prepare));
  const bool is_alive = uv_loop_alive(prepare->loop) != 0;
  uv_ref(reinterpret_cast<uv_handle_t *>(prepare));
  return is_alive;
}

// Called once in each turn, before the loop waits.
void OnTurn(uv_prepare_t *prepare) {
  EndWatch *watch = static_cast<EndWatch *>(prepare->data);
  if (IsAliveWithout(prepare)) {
    if (watch->quiet_turns > 0) uv_idle_stop(&watch->idle);
    watch->quiet_turns = 0;
  } else if (++watch->quiet_turns == 1) {
    uv_idle_start(&watch->idle, &OnIdle);
  } else if (watch->quiet_turns > kQuietTurns) {
    watch->quiet_turns = 1;
    Call(watch, false);
    if (!IsAliveWithout(prepare)) Call(watch, true);
  }
}

// watchForEnd(callback): calls callback(false) each time nothing is left to wait for. If that is still so
// afterwards, it calls callback(true), which must end the process.
Napi::Value WatchForEnd(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (info.Length() < 1 || !info[0].IsFunction()) {
    Napi::TypeError::New(env, "watchForEnd needs a function").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  uv_loop_t *loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  EndWatch *watch = new EndWatch;
  watch->env = env;
  watch->callback = Napi::Persistent(info[0].As<Napi::Function>());
  watch->prepare.data = watch;
  uv_prepare_init(loop, &watch->prepare);
  uv_idle_init(loop, &watch->idle);
  uv_unref(reinterpret_cast<uv_handle_t *>(&watch->idle));
  uv_prepare_start(&watch->prepare, &OnTurn);
  return env.Undefined();
}

// exitNow(code): ends the process at once, like _exit(2). The caller has to run exit handlers.
Napi::Value ExitNow(const Napi::CallbackInfo &info) {
  _exit(info[0].ToNumber().Int32Value());
}

}  // namespace

void DefineLeaving(Napi::Env env, Napi::Object exports) {
  exports.Set("watchForEnd", Napi::Function::New(env, &WatchForEnd));
  exports.Set("exitNow", Napi::Function::New(env, &ExitNow));
}

}  // namespace sandwire
