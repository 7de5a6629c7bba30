// Opening files for a sandboxee's standard streams. Runs in the host.
#include <cerrno>
#include <string>

#include "environment.h"

extern "C" {
#include "open_file.h"
}

namespace sandwire {
namespace {

const char *NameOf(open_file_problem problem) {
  switch (problem) {
    case OPEN_FILE_FAILED:
      return "failed";
    case OPEN_FILE_LINK:
      return "link";
    case OPEN_FILE_MANY_NAMES:
      return "many names";
    case OPEN_FILE_NOT_REGULAR:
      return "not regular";
  }
  return "unknown";
}

// Runs in a thread of libuv's pool: a network file system, or one in user space, may take its time.
class Opening : public Napi::AsyncWorker {
 public:
  Opening(Napi::Env env, std::string path, const open_file_wish &wish)
      : Napi::AsyncWorker(env, "sandwire: open a file"),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)),
        wish_(wish) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

 private:
  void Execute() override { open_file(path_.c_str(), &wish_, &result_); }

  void OnOK() override {
    Napi::Env env = Env();
    Napi::Object result = Napi::Object::New(env);
    result.Set("fd", Napi::Number::New(env, result_.fd));
    if (result_.fd < 0) {
      result.Set("problem", Napi::String::New(env, NameOf(result_.problem)));
      result.Set("errno", Napi::Number::New(env, result_.error));
      result.Set("at", Napi::String::New(env, result_.at));
      result.Set("owner", Napi::Number::New(env, result_.owner));
    }
    deferred_.Resolve(result);
  }

  void OnError(const Napi::Error &error) override { deferred_.Reject(error.Value()); }

  Napi::Promise::Deferred deferred_;
  const std::string path_;
  const open_file_wish wish_;
  open_file_result result_ = {};
};

// openFile(path, wish): a promise of { fd }, and for an fd of -1 { problem, errno, at, owner }.
Napi::Value OpenFile(const Napi::CallbackInfo &info) {
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsObject()) {
    Napi::TypeError::New(info.Env(), "openFile(path, wish): bad arguments").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  const Napi::Object wanted = info[1].As<Napi::Object>();
  open_file_wish wish = {};
  wish.writes = wanted.Get("writes").ToBoolean();
  wish.appends = wanted.Get("appends").ToBoolean();
  wish.follows_links = wanted.Get("followsLinks").ToBoolean();
  wish.trusts_root = wanted.Get("trustsRoot").ToBoolean();
  wish.takes_any_kind = wanted.Get("takesAnyKind").ToBoolean();
  auto *opening = new Opening(info.Env(), info[0].As<Napi::String>().Utf8Value(), wish);
  opening->Queue();
  return opening->Promise();
}

// openTerminalAgain(fd, writes): -1 if that is impossible.
Napi::Value OpenTerminalAgain(const Napi::CallbackInfo &info) {
  const int fd = open_terminal_again(info[0].ToNumber().Int32Value(), info[1].ToBoolean());
  return Napi::Number::New(info.Env(), fd);
}

}  // namespace

void DefineOpening(Napi::Env env, Napi::Object exports) {
  exports.Set("openFile", Napi::Function::New(env, &OpenFile));
  exports.Set("openTerminalAgain", Napi::Function::New(env, &OpenTerminalAgain));
}

}  // namespace sandwire
