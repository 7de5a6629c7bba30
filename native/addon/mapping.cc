// Shared memory for JavaScript: memfds, and their mappings as ArrayBuffers. What may be mapped is judged by
// libsandwire's buffer_fd. Runs in the host, and in Node sandboxees.
#include <sys/mman.h>

#include <cerrno>
#include <climits>

#include "environment.h"

extern "C" {
#include "buffer_fd.h"
}

namespace sandwire {
namespace {

// Sizes are safe integers on the JavaScript side. 0 for what is none; every use of 0 is refused further down.
size_t SizeOf(const Napi::Value& value) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  return number >= 1 && number <= 9007199254740991.0 ? static_cast<size_t>(number) : 0;
}

// createBufferFd(size): a memfd sealed against shrinking.
Napi::Value CreateBufferFd(const Napi::CallbackInfo& info) {
  const int fd = sandwire_buffer_fd_create(SizeOf(info[0]));
  if (fd < 0) {
    ThrowSystemError(info.Env(), -fd, "memfd_create");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), fd);
}

// measureBufferFd(fd): its size in bytes. Throws EPERM, EINVAL or EOPNOTSUPP for what cannot be mapped safely.
Napi::Value MeasureBufferFd(const Napi::CallbackInfo& info) {
  size_t size = 0;
  const int error = sandwire_buffer_fd_measure(info[0].ToNumber().Int32Value(), &size);
  if (error != 0) {
    ThrowSystemError(info.Env(), -error, "fcntl");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(size));
}

// growBufferFd(fd, size): makes it at least so large, and returns how large it is.
Napi::Value GrowBufferFd(const Napi::CallbackInfo& info) {
  const int fd = info[0].ToNumber().Int32Value();
  const size_t size = SizeOf(info[1]);
  if (size > 0) {
    // A seal makes growing final, so it must not be found out afterwards that there is no room to map it.
    void* room = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (room == MAP_FAILED || munmap(room, size) != 0) {
      ThrowSystemError(info.Env(), errno, "mmap");
      return info.Env().Undefined();
    }
  }
  size_t grown = 0;
  const int error = sandwire_buffer_fd_grow(fd, size, &grown);
  if (error != 0) {
    ThrowSystemError(info.Env(), -error, "ftruncate");
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<double>(grown));
}

struct Mapping {
  size_t size;
};

void Unmap(napi_env, void* data, void* hint) {
  Mapping* mapping = static_cast<Mapping*>(hint);
  munmap(data, mapping->size);
  delete mapping;
}

// mapBufferFd(fd, size): an ArrayBuffer that is the memory itself, or undefined where the runtime has none over memory
// that is not its own (V8's sandbox, as in Electron). The fd must have been measured. Unmapped when JavaScript can
// reach neither the ArrayBuffer nor a view of it, or when its environment ends.
Napi::Value MapBufferFd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const size_t size = SizeOf(info[1]);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, info[0].ToNumber().Int32Value(), 0);
  if (data == MAP_FAILED) {
    ThrowSystemError(env, errno, "mmap");
    return env.Undefined();
  }
  Mapping* mapping = new Mapping{size};
  napi_value array_buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(env, data, size, &Unmap, mapping, &array_buffer);
  if (status == napi_ok) return Napi::Value(env, array_buffer);
  Unmap(env, data, mapping);
  if (status != napi_no_external_buffers_allowed) ThrowSystemError(env, ENOMEM, "mmap");
  return env.Undefined();
}

}  // namespace

void DefineMapping(Napi::Env env, Napi::Object exports) {
  exports.Set("createBufferFd", Napi::Function::New(env, &CreateBufferFd));
  exports.Set("measureBufferFd", Napi::Function::New(env, &MeasureBufferFd));
  exports.Set("growBufferFd", Napi::Function::New(env, &GrowBufferFd));
  exports.Set("mapBufferFd", Napi::Function::New(env, &MapBufferFd));
}

}  // namespace sandwire
