// Shared memory for JavaScript: memfds, and their mappings as ArrayBuffers. What may be mapped is judged by
// libsandwire's buffer_fd. Runs in the host, and in Node sandboxees.
#include "mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "environment.h"

extern "C" {
#include "buffer_fd.h"
}

namespace sandwire {

Grown GrowBuffer(int fd, size_t size) {
  if (size > 0) {
    // A seal makes growing final, so it must not be found out afterwards that there is no room to map it.
    void *room = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (room == MAP_FAILED || munmap(room, size) != 0) return {errno, "mmap", 0};
  }
  size_t grown = 0;
  const int error = sandwire_buffer_fd_grow(fd, size, &grown);
  return {-error, "ftruncate", grown};
}

namespace {

// Sizes are safe integers on the JavaScript side. 0 for what is none; every use of 0 is refused further down.
size_t SizeOf(const Napi::Value &value) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  return number >= 1 && number <= 9007199254740991.0 ? static_cast<size_t>(number) : 0;
}

// createBufferFd(size): a memfd sealed against shrinking.
Napi::Value CreateBufferFd(const Napi::CallbackInfo &info) {
  const int fd = sandwire_buffer_fd_create(SizeOf(info[0]));
  if (fd < 0) {
    ThrowSystemError(info.Env(), -fd, "memfd_create");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), fd);
}

// measureBufferFd(fd): its size in bytes. Throws EPERM, EINVAL or EOPNOTSUPP for what cannot be mapped
// safely.
Napi::Value MeasureBufferFd(const Napi::CallbackInfo &info) {
  size_t size = 0;
  const int error = sandwire_buffer_fd_measure(info[0].ToNumber().Int32Value(), &size);
  if (error != 0) {
    ThrowSystemError(info.Env(), -error, "fcntl");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(size));
}

// growBufferFd(fd, size): makes it at least so large, and returns how large it is.
Napi::Value GrowBufferFd(const Napi::CallbackInfo &info) {
  const Grown grown = GrowBuffer(info[0].ToNumber().Int32Value(), SizeOf(info[1]));
  if (grown.error != 0) {
    ThrowSystemError(info.Env(), grown.error, grown.syscall);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(grown.size));
}

// How much address space released mappings hold, beside the last one's.
constexpr size_t kQuarantineBytes = 256 << 20;

// Pages are given back in pieces of so many bytes: other threads that want to change the address space, V8's
// among them, wait for each.
constexpr size_t kPiece = 4 << 20;

struct Place {
  void *data;
  size_t size;
};

template <typename Function>
bool ForEachPiece(Place place, Function function) {
  for (size_t at = 0; at < place.size; at += kPiece) {
    const size_t rest = place.size - at;
    if (!function(static_cast<char *>(place.data) + at, rest < kPiece ? rest : kPiece)) return false;
  }
  return true;
}

void Unmap(Place place) {
  ForEachPiece(place, [](void *data, size_t size) { return munmap(data, size) == 0; });
}

// The addresses of released mappings. A call of Node's that still runs (fs.read(), zlib) knows where it was
// to read or write and nothing of what became of that place, so nothing else is mapped there for a while: it
// meets private memory that nobody reads. Such neighbours are one mapping for the kernel, so they can be
// many.
class Quarantine {
 public:
  ~Quarantine() { Shrink(0, 0); }

  // Gives back what is mapped there.
  void Take(Place place) {
    const bool is_private = ForEachPiece(place, [](void *data, size_t size) {
      const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
      return mmap(data, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
    });
    if (!is_private) {
      Unmap(place);
      return;
    }
    {
      const std::lock_guard<std::mutex> hold(lock_);
      places_.push_back(place);
      bytes_ += place.size;
    }
    Shrink(kQuarantineBytes, 1);
  }

  void Shrink(size_t bytes, size_t count) {
    const std::lock_guard<std::mutex> hold(lock_);
    while (bytes_ > bytes && places_.size() > count) {
      const Place oldest = places_.front();
      places_.pop_front();
      bytes_ -= oldest.size;
      munmap(oldest.data, oldest.size);  // hardly any page of it is there
    }
  }

 private:
  std::mutex lock_;
  std::deque<Place> places_;
  size_t bytes_ = 0;
};

struct Mapping;

// Those of one environment.
struct Mappings {
  std::unordered_map<uint32_t, Mapping *> by_id;
  uint32_t last_id = 0;
  const std::shared_ptr<Quarantine> quarantine = std::make_shared<Quarantine>();
  Closer closer;  // null as long as the environment is not guarded
};

// What has been mapped there, and who wants it next: the quarantine, or nobody. The memory of a memfd that
// its other side has made gigabytes large goes with its last mapping, if that is the last to hold it.
struct Release {
  sandwire_aside_job job;  // the first member
  Place place;
  std::shared_ptr<Quarantine> quarantine;

  static void Run(sandwire_aside_job *pointer) {
    const std::unique_ptr<Release> release(reinterpret_cast<Release *>(pointer));
    if (release->quarantine != nullptr)
      release->quarantine->Take(release->place);
    else
      Unmap(release->place);
  }
};

void ReleasePlace(const Closer &closer, Place place, std::shared_ptr<Quarantine> quarantine) {
  auto *release = new Release{{&Release::Run, nullptr}, place, std::move(quarantine)};
  if (closer != nullptr)
    sandwire_closer_do(closer.get(), &release->job);
  else
    Release::Run(&release->job);
}

// From mapBufferFd() until Node-API says that the ArrayBuffer has let go of the memory. That it says in a
// turn of the event loop, which a synchronous program never gives it.
//
// When the environment ends Node detaches the ArrayBuffers over foreign memory, and takes no notice of who
// else has the memory: transfer() may have moved it to another ArrayBuffer, and that may be in another
// thread. What was moved can only be told before the ArrayBuffer is detached; so each has a sentinel, another
// one that was made after it, and which Node, going from last to first, comes to before it
// (src/node_buffer.cc, CallbackInfo). Node's hooks for addons run too late for that.
struct Mapping {
  std::shared_ptr<Mappings> all;
  uint32_t id;
  void *data;
  size_t size;
  bool is_ours;           // to be unmapped
  napi_ref array_buffer;  // weak
  napi_ref sentinel;      // strong, so that nothing but the end of the environment takes it
  char sentinel_data;
  int finalizers;  // those to come
};

void FinalizerHasRun(Mapping *mapping) {
  if (--mapping->finalizers == 0) delete mapping;
}

// Whether JavaScript has moved the memory to another ArrayBuffer. Nobody reaches one that is gone, so whoever
// still has its memory has got it that way.
bool IsElsewhere(napi_env env, const Mapping *mapping) {
  Napi::HandleScope scope(env);
  napi_value array_buffer = nullptr;
  bool is_detached = true;
  if (napi_get_reference_value(env, mapping->array_buffer, &array_buffer) != napi_ok) return true;
  if (array_buffer == nullptr) return true;
  return napi_is_detached_arraybuffer(env, array_buffer, &is_detached) != napi_ok || is_detached;
}

// The environment ends, or has no more use for it. What is elsewhere then stays mapped for good; and so does
// what only seems to be: its ArrayBuffer was collected so shortly before the end that V8 has not let go of
// the memory yet. Node-API tells nothing of which it was, and memory lost is better than memory that goes
// away under a reader.
void OnSentinelEnd(napi_env env, void *, void *hint) {
  Mapping *mapping = static_cast<Mapping *>(hint);
  if (mapping->sentinel != nullptr) {
    if (mapping->is_ours && IsElsewhere(env, mapping)) mapping->is_ours = false;
    napi_delete_reference(env, mapping->sentinel);
    mapping->sentinel = nullptr;
  }
  FinalizerHasRun(mapping);
}

// Nobody reaches the memory any more, or the environment ends.
void OnMemoryFree(napi_env env, void *, void *hint) {
  Mapping *mapping = static_cast<Mapping *>(hint);
  if (mapping->is_ours) ReleasePlace(mapping->all->closer, {mapping->data, mapping->size}, nullptr);
  mapping->all->by_id.erase(mapping->id);
  napi_delete_reference(env, mapping->array_buffer);
  if (mapping->sentinel != nullptr) napi_delete_reference(env, mapping->sentinel);
  mapping->sentinel = nullptr;
  FinalizerHasRun(mapping);
}

// Makes both ArrayBuffers and what refers to them.
napi_status MakeArrayBuffers(napi_env env, Mapping *mapping, napi_value *array_buffer) {
  napi_value sentinel = nullptr;
  napi_status status = napi_create_external_arraybuffer(env, mapping->data, mapping->size, &OnMemoryFree,
                                                        mapping, array_buffer);
  if (status != napi_ok) return status;
  mapping->finalizers++;
  mapping->all->by_id.emplace(mapping->id, mapping);
  status = napi_create_reference(env, *array_buffer, 0, &mapping->array_buffer);
  if (status != napi_ok) return status;
  status =
      napi_create_external_arraybuffer(env, &mapping->sentinel_data, 1, &OnSentinelEnd, mapping, &sentinel);
  if (status != napi_ok) return status;
  mapping->finalizers++;
  return napi_create_reference(env, sentinel, 1, &mapping->sentinel);
}

// mapBufferFd(fd, size): {memory, mapping}: an ArrayBuffer that is the memory itself, and a number for
// releaseMapping(); or undefined where the runtime has no ArrayBuffer over memory that is not its own (V8's
// sandbox, as in Electron). The fd must have been measured. Unmapped by releaseMapping(), when JavaScript can
// reach neither the ArrayBuffer nor a view of it, or when its environment ends.
Napi::Value MapBufferFd(const Napi::CallbackInfo &info, const std::shared_ptr<Mappings> &all) {
  Napi::Env env = info.Env();
  const size_t size = SizeOf(info[1]);
  const int fd = info[0].ToNumber().Int32Value();
  void *data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED && errno == ENOMEM) {
    all->quarantine->Shrink(0, 0);
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (data == MAP_FAILED) {
    ThrowSystemError(env, errno, "mmap");
    return env.Undefined();
  }
  all->closer = EnvironmentOf(env).closer;
  Mapping *mapping = new Mapping{all, ++all->last_id, data, size, true, nullptr, nullptr, 0, 0};
  napi_value array_buffer = nullptr;
  const napi_status status = MakeArrayBuffers(env, mapping, &array_buffer);
  if (status != napi_ok) {
    if (mapping->finalizers == 0) {
      munmap(data, size);
      delete mapping;
    }
    if (status != napi_no_external_buffers_allowed) ThrowSystemError(env, ENOMEM, "mmap");
    return env.Undefined();
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("memory", Napi::Value(env, array_buffer));
  result.Set("mapping", Napi::Number::New(env, mapping->id));
  return result;
}

// releaseMapping(mapping): its ArrayBuffer and all views of it are empty from now on, and its memory is given
// back: in a guarded environment soon after. Nothing happens where that is so already, or where the memory
// was moved to another ArrayBuffer, which it stays with.
void ReleaseMapping(const Napi::CallbackInfo &info, Mappings &all) {
  const auto found = all.by_id.find(info[0].ToNumber().Uint32Value());
  if (found == all.by_id.end()) return;
  Mapping *mapping = found->second;
  if (!mapping->is_ours || IsElsewhere(info.Env(), mapping)) return;
  napi_value array_buffer = nullptr;
  NAPI_THROW_IF_FAILED_VOID(info.Env(),
                            napi_get_reference_value(info.Env(), mapping->array_buffer, &array_buffer));
  NAPI_THROW_IF_FAILED_VOID(info.Env(), napi_detach_arraybuffer(info.Env(), array_buffer));
  mapping->is_ours = false;
  all.closer = EnvironmentOf(info.Env()).closer;
  ReleasePlace(all.closer, {mapping->data, mapping->size}, all.quarantine);
}

}  // namespace

void DefineMapping(Napi::Env env, Napi::Object exports) {
  exports.Set("createBufferFd", Napi::Function::New(env, &CreateBufferFd));
  exports.Set("measureBufferFd", Napi::Function::New(env, &MeasureBufferFd));
  exports.Set("growBufferFd", Napi::Function::New(env, &GrowBufferFd));
  const auto all = std::make_shared<Mappings>();
  exports.Set("mapBufferFd", Napi::Function::New(env, [all](const Napi::CallbackInfo &info) {
                return MapBufferFd(info, all);
              }));
  exports.Set("releaseMapping", Napi::Function::New(env, [all](const Napi::CallbackInfo &info) {
                ReleaseMapping(info, *all);
              }));
}

}  // namespace sandwire
