// What a Node sandboxee needs to put itself under a policy. Runs in the sandboxee, before and at its
// sandboxMeHere().
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "environment.h"

extern "C" {
#include "filter.h"
#include "sandwire/wire.generated.h"
}

namespace sandwire {
namespace {

// installPolicy(program, allowSpeculation): the policy is in force for every thread when it returns, and
// watched. Throws while nothing is in force; past that point a failure ends the process.
Napi::Value InstallPolicy(const Napi::CallbackInfo &info) {
  Napi::Env env = info.Env();
  if (info.Length() < 2 || !info[0].IsTypedArray() || !info[1].IsBoolean()) {
    Napi::TypeError::New(env, "installPolicy(program, allowSpeculation): bad arguments")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Uint8Array program = info[0].As<Napi::Uint8Array>();
  const size_t size = program.ByteLength();
  if (size == 0 || size % sizeof(struct sock_filter) != 0) {
    Napi::RangeError::New(env, "installPolicy: the program is not an array of struct sock_filter")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  enum sandwire_filter_step step = SANDWIRE_FILTER_STEP_NONE;
  const int result = sandwire_filter_install_announced(
      SANDWIRE_RENDEZVOUS_FD, reinterpret_cast<const struct sock_filter *>(program.Data()),
      size / sizeof(struct sock_filter), info[1].ToBoolean(), &step);
  if (result < 0) {
    ThrowSystemError(env, -result, sandwire_filter_step_name(step));
    return env.Undefined();
  }
  sandwire_filter_close_listener(result);
  return env.Undefined();
}

// magicSyscall(argument): the errno it fails with; ENOSYS outside of any sandbox.
Napi::Value MagicSyscall(const Napi::CallbackInfo &info) {
  long result = syscall(SANDWIRE_MAGIC_SYSCALL, static_cast<unsigned long>(info[0].ToNumber().Uint32Value()),
                        0, 0, 0, 0, 0);
  return Napi::Number::New(info.Env(), result < 0 ? errno : 0);
}

// moveFd(fd, target): the fd becomes target, which is closed first if it is open. Returns target.
Napi::Value MoveFd(const Napi::CallbackInfo &info) {
  const int fd = info[0].ToNumber().Int32Value();
  const int target = info[1].ToNumber().Int32Value();
  if (fd == target) {
    // A mapped fd must survive an exec, like one that was mapped before this program began.
    if (fcntl(fd, F_SETFD, 0) != 0) ThrowSystemError(info.Env(), errno, "fcntl");
  } else if (dup2(fd, target) < 0) {
    ThrowSystemError(info.Env(), errno, "dup2");
  } else {
    close(fd);
  }
  return Napi::Number::New(info.Env(), target);
}

}  // namespace

void DefineSandboxing(Napi::Env env, Napi::Object exports) {
  exports.Set("installPolicy", Napi::Function::New(env, &InstallPolicy));
  exports.Set("magicSyscall", Napi::Function::New(env, &MagicSyscall));
  exports.Set("moveFd", Napi::Function::New(env, &MoveFd));
}

}  // namespace sandwire
