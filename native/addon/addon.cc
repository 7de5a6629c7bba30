#include <cerrno>
#include <cstring>

#include "environment.h"
#include "foreign_work.h"

#include <uv.h>

namespace sandwire {

Napi::Error SystemError(Napi::Env env, int error_number, const char *syscall) {
  // The one of our calls' errors that libuv has no name for: too many descriptors of the user's are under way
  // (unix(7)).
  std::string name = error_number == ETOOMANYREFS ? "ETOOMANYREFS" : uv_err_name(-error_number);
  std::string message = std::string(syscall) + ": " + name + ": " + std::strerror(error_number);
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, name));
  error.Set("errno", Napi::Number::New(env, error_number));
  error.Set("syscall", Napi::String::New(env, syscall));
  return error;
}

void ThrowSystemError(Napi::Env env, int error_number, const char *syscall) {
  SystemError(env, error_number, syscall).ThrowAsJavaScriptException();
}

Environment::Environment() {
  sandwire_empty_network_init(&empty_network, SOCK_STREAM, SANDWIRE_EMPTY_NETWORK_STOCK);
}

Environment::~Environment() {
  sandwire_empty_network_close(&empty_network);
}

ForeignWorkers &Environment::Workers(Napi::Env env) {
  if (workers_ == nullptr) workers_ = std::make_unique<ForeignWorkers>(env);
  return *workers_;
}

Environment &EnvironmentOf(Napi::Env env) {
  return *env.GetInstanceData<Environment>();
}

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment());
  exports.Set("Socket", DefineSocket(env));
  exports.Set("ForeignFd", DefineForeignFd(env));
  DefineClosing(env, exports);
  DefineDescriptors(env, exports);
  DefineMapping(env, exports);
  DefineNamedSockets(env, exports);
  DefineOpening(env, exports);
  DefineForking(env, exports);
  DefineLeaving(env, exports);
  DefineSandboxing(env, exports);
  return exports;
}

}  // namespace
}  // namespace sandwire

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return sandwire::Init(env, exports);
}

NODE_API_MODULE(sandwire, InitAddon)
