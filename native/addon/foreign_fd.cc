// A file descriptor that a peer has sent, for JavaScript. Whoever sent it may hold it too, and then each call
// on it may wait: behind a lock of the file, the pipe or the socket, or for a file system. So all calls are
// made in threads, and so is the last close. With calls pending it is closed after the last of them.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "environment.h"
#include "foreign_work.h"
#include "mapping.h"

extern "C" {
#include "socket_io.h"
}

namespace sandwire {
namespace {

// What one write() of a pipe that is ready for it takes without waiting (pipe(7)).
constexpr size_t kPipePiece = 4096;

// The fd, for the object and for what is being done with it.
struct Held {
  Held(int of, int wake_by, Closer closed_by) : fd(of), wake(wake_by), closer(std::move(closed_by)) {}
  ~Held() {
    if (fd >= 0) CloseForeign(closer, fd);
    close(wake);
  }
  Held(const Held &) = delete;
  Held &operator=(const Held &) = delete;

  int fd;
  const int wake;  // an eventfd; readable: give up waiting
  const Closer closer;
  std::vector<char> bytes;  // of the last read
};

// A call on it. Do() sets the error and the syscall that had it, or what Value() makes of it.
class Call : public ForeignWork {
 public:
  explicit Call(std::shared_ptr<Held> held) : held_(std::move(held)) {}

  Napi::Value Error(Napi::Env env) override {
    if (error_ == 0) return env.Null();
    return SystemError(env, error_, syscall_).Value();
  }

 protected:
  int fd() const { return held_->fd; }

  bool Fail(int error, const char *syscall) {
    error_ = error;
    syscall_ = syscall;
    return false;
  }

  // Waits until it is ready, or no longer wanted (ECANCELED).
  bool Await(short events) {
    pollfd watched[] = {{held_->fd, events, 0}, {held_->wake, POLLIN, 0}};
    int ready;
    do {
      ready = poll(watched, 2, -1);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) return Fail(errno, "poll");
    return watched[1].revents == 0 || Fail(ECANCELED, "poll");
  }

  // Fds that come along are nobody's.
  ssize_t ReceiveFrom(char *into, size_t size) {
    sandwire_arrived_fds arrived;
    const ssize_t count = sandwire_socket_receive(fd(), into, size, MSG_DONTWAIT, &arrived);
    for (size_t i = 0; i < arrived.count; i++)
      CloseForeign(held_->closer, arrived.fds[i]);
    return count;
  }

  const std::shared_ptr<Held> held_;
  int error_ = 0;
  const char *syscall_ = "";
};

// describe: {type, size}; the type is "file", "directory", "pipe", "socket" (of the stream kind) or "other".
class Describing : public Call {
 public:
  using Call::Call;

  void Do() override {
    struct stat status;
    if (fstat(fd(), &status) != 0) {
      Fail(errno, "fstat");
      return;
    }
    size_ = static_cast<double>(status.st_size);
    if (S_ISREG(status.st_mode)) type_ = "file";
    if (S_ISDIR(status.st_mode)) type_ = "directory";
    if (S_ISFIFO(status.st_mode)) type_ = "pipe";
    if (S_ISSOCK(status.st_mode) && IsStream()) type_ = "socket";
  }

  Napi::Value Value(Napi::Env env) override {
    Napi::Object value = Napi::Object::New(env);
    value.Set("type", type_);
    value.Set("size", size_);
    return value;
  }

 private:
  bool IsStream() const {
    int type = 0;
    socklen_t length = sizeof type;
    return getsockopt(fd(), SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
  }

  const char *type_ = "other";
  double size_ = 0;
};

// read: how many bytes came, none at the end. They are held until the next read. JavaScript then has them put
// where it wants them: its own memory cannot be lent to a thread that may outlive it, and a new piece of
// memory for each read would be much garbage.
class Reading : public Call {
 public:
  // position below 0: where the description stands, or a stream.
  Reading(std::shared_ptr<Held> held, size_t size, int64_t position)
      : Call(std::move(held)), size_(size), position_(position) {}

  void Do() override {
    if (held_->bytes.size() < size_) held_->bytes.resize(size_);
    ssize_t count = -EAGAIN;
    if (position_ >= 0) count = Read();
    while (position_ < 0 && count == -EAGAIN && Await(POLLIN))
      count = Read();
    if (count < 0 && error_ == 0) Fail(static_cast<int>(-count), "read");
    count_ = count < 0 ? 0 : static_cast<size_t>(count);
  }

  Napi::Value Value(Napi::Env env) override { return Napi::Number::New(env, static_cast<double>(count_)); }

 private:
  ssize_t Read() {
    char *const into = held_->bytes.data();
    if (position_ < 0) {
      const ssize_t count = ReceiveFrom(into, size_);
      if (count != -ENOTSOCK) return count;
    }
    const ssize_t count = position_ < 0 ? read(fd(), into, size_) : pread(fd(), into, size_, position_);
    return count < 0 ? -errno : count;
  }

  const size_t size_;
  const int64_t position_;
  size_t count_ = 0;
};

// write: once all is written.
class Writing : public Call {
 public:
  // position as for Reading.
  Writing(std::shared_ptr<Held> held, const char *bytes, size_t size, int64_t position)
      : Call(std::move(held)), bytes_(bytes, bytes + size), position_(position) {}

  void Do() override {
    for (size_t at = 0; at < bytes_.size() && (position_ >= 0 || Await(POLLOUT));) {
      const ssize_t count = Write(bytes_.data() + at, bytes_.size() - at, static_cast<int64_t>(at));
      if (count >= 0) {
        at += static_cast<size_t>(count);
      } else if (count != -EAGAIN || position_ >= 0) {
        Fail(static_cast<int>(-count), "write");
        return;
      }
    }
  }

  Napi::Value Value(Napi::Env env) override { return env.Undefined(); }

 private:
  ssize_t Write(const char *from, size_t size, int64_t offset) {
    if (position_ >= 0) {
      const ssize_t written = pwrite(fd(), from, size, position_ + offset);
      return written < 0 ? -errno : written;
    }
    const ssize_t sent = send(fd(), from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK) return sent < 0 ? -errno : sent;
    // No SIGPIPE is heard of: these threads block all signals.
    const ssize_t written = write(fd(), from, size < kPipePiece ? size : kPipePiece);
    return written < 0 ? -errno : written;
  }

  const std::vector<char> bytes_;
  const int64_t position_;
};

// endWriting: of a socket; of anything else nothing.
class Ending : public Call {
 public:
  using Call::Call;

  void Do() override {
    if (shutdown(fd(), SHUT_WR) != 0 && errno != ENOTSOCK && errno != ENOTCONN) Fail(errno, "shutdown");
  }

  Napi::Value Value(Napi::Env env) override { return env.Undefined(); }
};

// grow: a buffer's; how large it is then.
class Growing : public Call {
 public:
  Growing(std::shared_ptr<Held> held, size_t size) : Call(std::move(held)), size_(size) {}

  void Do() override {
    grown_ = GrowBuffer(fd(), size_);
    if (grown_.error != 0) Fail(grown_.error, grown_.syscall);
  }

  Napi::Value Value(Napi::Env env) override {
    return Napi::Number::New(env, static_cast<double>(grown_.size));
  }

 private:
  const size_t size_;
  Grown grown_ = {0, "", 0};
};

class ForeignFd : public Napi::ObjectWrap<ForeignFd> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ForeignFd",
                       {
                           InstanceMethod<&ForeignFd::Describe>("describe"),
                           InstanceMethod<&ForeignFd::Read>("read"),
                           InstanceMethod<&ForeignFd::TakeRead>("takeRead"),
                           InstanceMethod<&ForeignFd::Write>("write"),
                           InstanceMethod<&ForeignFd::EndWriting>("endWriting"),
                           InstanceMethod<&ForeignFd::Grow>("grow"),
                           InstanceMethod<&ForeignFd::Release>("release"),
                           InstanceMethod<&ForeignFd::Close>("close"),
                       });
  }

  // new ForeignFd(fd): takes the fd over.
  explicit ForeignFd(const Napi::CallbackInfo &info) : Napi::ObjectWrap<ForeignFd>(info) {
    const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
      ThrowSystemError(info.Env(), errno, "eventfd");
      return;
    }
    held_ = std::make_shared<Held>(info[0].ToNumber().Int32Value(), wake, EnvironmentOf(info.Env()).closer);
  }

  ~ForeignFd() override { Cancel(); }

 private:
  // What waits for the peer comes back.
  void Cancel() {
    const uint64_t one = 1;
    if (held_ != nullptr && write(held_->wake, &one, sizeof one) < 0) {
      // It is readable already.
    }
    held_.reset();
  }

  // The callback is the last argument.
  Napi::Value Begin(const Napi::CallbackInfo &info, std::unique_ptr<ForeignWork> work) {
    EnvironmentOf(info.Env())
        .Workers(info.Env())
        .Begin(info.Env(), std::move(work), info[info.Length() - 1].As<Napi::Function>());
    return info.Env().Undefined();
  }

  bool CheckCall(const Napi::CallbackInfo &info, size_t arguments) {
    if (held_ == nullptr) {
      ThrowSystemError(info.Env(), EBADF, "fcntl");
    } else if (info.Length() != arguments || !info[arguments - 1].IsFunction()) {
      Napi::TypeError::New(info.Env(), "a callback is needed").ThrowAsJavaScriptException();
    } else {
      return true;
    }
    return false;
  }

  // describe(callback)
  Napi::Value Describe(const Napi::CallbackInfo &info) {
    if (!CheckCall(info, 1)) return info.Env().Undefined();
    return Begin(info, std::make_unique<Describing>(held_));
  }

  // read(size, position, callback)
  Napi::Value Read(const Napi::CallbackInfo &info) {
    if (!CheckCall(info, 3)) return info.Env().Undefined();
    return Begin(info, std::make_unique<Reading>(held_, info[0].ToNumber().Uint32Value(),
                                                 info[1].ToNumber().Int64Value()));
  }

  // takeRead(into, offset, count): puts there what the last read has brought.
  Napi::Value TakeRead(const Napi::CallbackInfo &info) {
    const size_t offset = info[1].ToNumber().Uint32Value();
    const size_t count = info[2].ToNumber().Uint32Value();
    auto into = info[0].As<Napi::Uint8Array>();
    if (held_ == nullptr || count > held_->bytes.size() || offset > into.ByteLength() ||
        count > into.ByteLength() - offset) {
      Napi::RangeError::New(info.Env(), "takeRead: there is not so much, or no room for it")
          .ThrowAsJavaScriptException();
    } else if (count > 0) {
      std::memcpy(into.Data() + offset, held_->bytes.data(), count);
    }
    return info.Env().Undefined();
  }

  // write(bytes, position, callback): of a copy.
  Napi::Value Write(const Napi::CallbackInfo &info) {
    if (!CheckCall(info, 3)) return info.Env().Undefined();
    if (!info[0].IsTypedArray()) {
      Napi::TypeError::New(info.Env(), "bytes are needed").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    const auto bytes = info[0].As<Napi::Uint8Array>();
    return Begin(info, std::make_unique<Writing>(held_, reinterpret_cast<const char *>(bytes.Data()),
                                                 bytes.ByteLength(), info[1].ToNumber().Int64Value()));
  }

  // endWriting(callback)
  Napi::Value EndWriting(const Napi::CallbackInfo &info) {
    if (!CheckCall(info, 1)) return info.Env().Undefined();
    return Begin(info, std::make_unique<Ending>(held_));
  }

  // grow(size, callback)
  Napi::Value Grow(const Napi::CallbackInfo &info) {
    if (!CheckCall(info, 2)) return info.Env().Undefined();
    return Begin(info,
                 std::make_unique<Growing>(held_, static_cast<size_t>(info[0].ToNumber().Int64Value())));
  }

  // release(): the fd, which is the caller's then. With no call pending.
  Napi::Value Release(const Napi::CallbackInfo &info) {
    const int fd = held_ == nullptr ? -1 : std::exchange(held_->fd, -1);
    held_.reset();
    return Napi::Number::New(info.Env(), fd);
  }

  // close(): calls that wait come back with ECANCELED.
  Napi::Value Close(const Napi::CallbackInfo &info) {
    Cancel();
    return info.Env().Undefined();
  }

  std::shared_ptr<Held> held_;
};

}  // namespace

Napi::Function DefineForeignFd(Napi::Env env) {
  return ForeignFd::Define(env);
}

}  // namespace sandwire
