// Work on what a peer has sent, in threads of its own: it may wait for as long as the peer likes. Not in
// libuv's pool, which is for all of Node and would be full after four such waits.
#ifndef SANDWIRE_ADDON_FOREIGN_WORK_H
#define SANDWIRE_ADDON_FOREIGN_WORK_H

#include <napi.h>

#include <memory>

namespace sandwire {

// One piece. What it needs it owns, and nothing of that is JavaScript's: the environment may end first.
class ForeignWork {
 public:
  virtual ~ForeignWork() = default;
  // In a thread.
  virtual void Do() = 0;
  // What a callback (error, value) is told, in the event loop.
  virtual Napi::Value Error(Napi::Env env) = 0;
  virtual Napi::Value Value(Napi::Env env) = 0;
};

// The threads of an environment, and the way back from them.
class ForeignWorkers {
 public:
  explicit ForeignWorkers(Napi::Env env);
  ~ForeignWorkers();
  ForeignWorkers(const ForeignWorkers &) = delete;
  ForeignWorkers &operator=(const ForeignWorkers &) = delete;

  // Has it done, and then calls back; until then the event loop stays alive. Throws a JavaScript Error if
  // there is no thread for it.
  void Begin(Napi::Env env, std::unique_ptr<ForeignWork> work, Napi::Function callback);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace sandwire

#endif
