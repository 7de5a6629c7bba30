#include <cerrno>
#include <cstring>

#include "environment.h"

#include <uv.h>

namespace sandwire {

void ThrowSystemError(Napi::Env env, int error_number, const char *syscall) {
  // The one of our calls' errors that libuv has no name for: too many descriptors of the user's are under way
  // (unix(7)).
  std::string name = error_number == ETOOMANYREFS ? "ETOOMANYREFS" : uv_err_name(-error_number);
  std::string message = std::string(syscall) + ": " + name + ": " + std::strerror(error_number);
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, name));
  error.Set("errno", Napi::Number::New(env, error_number));
  error.Set("syscall", Napi::String::New(env, syscall));
  error.ThrowAsJavaScriptException();
}

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment());
  exports.Set("Socket", DefineSocket(env));
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
