#include "socket_calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

#include "environment.h"

extern "C" {
#include "socket_io.h"
}

namespace sandwire {
namespace {

// The socket that a call is of, and its arguments. Null, with an exception pending, if the socket was closed.
SocketState *Begin(napi_env env, napi_callback_info info, size_t *count, napi_value *arguments,
                   const char *syscall) {
  void *data = nullptr;
  napi_get_cb_info(env, info, count, arguments, nullptr, &data);
  SocketState *state = static_cast<SocketState *>(data);
  if (state->fd >= 0) return state;
  ThrowSystemError(env, EBADF, syscall);
  return nullptr;
}

napi_value Count(napi_env env, ssize_t count) {
  napi_value value = nullptr;
  if (count <= INT32_MAX)
    napi_create_int32(env, static_cast<int32_t>(count), &value);
  else
    napi_create_int64(env, count, &value);
  return value;
}

napi_value BadArguments(napi_env env, const char *form) {
  napi_throw_type_error(env, nullptr, form);
  return nullptr;
}

int64_t NowMs() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Waits for POLLIN or POLLOUT until the deadline, in milliseconds of NowMs(); -1: for ever. 1 ready (or at
// its end), 0 timed out, -1 with errno.
int WaitFor(int fd, short events, int64_t deadline) {
  for (;;) {
    int64_t left = -1;
    if (deadline >= 0) {
      left = deadline - NowMs();
      left = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
    }
    struct pollfd poll_fd = {fd, events, 0};
    const int ready = poll(&poll_fd, 1, static_cast<int>(left));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return ready;
    if (deadline >= 0 && NowMs() >= deadline) return 0;
  }
}

// How a call waits that may: in the kernel, or, where a time is set, by poll(). A description that others
// made non-blocking stays so, as it is theirs too; there poll() waits as well.
class Patience {
 public:
  Patience(int fd, short events, bool wait, int32_t timeout_ms)
      : fd_(fd),
        events_(events),
        wait_(wait),
        deadline_(wait && timeout_ms >= 0 ? NowMs() + timeout_ms : -1) {}

  // For the system call.
  int flags() const { return wait_ && deadline_ < 0 ? 0 : MSG_DONTWAIT; }

  // After EAGAIN: whether it is to be tried again. If not, *error is 0 or that of poll().
  bool Wait(int *error) const {
    *error = 0;
    if (!wait_) return false;
    if (deadline_ < 0) {
      const int status = fcntl(fd_, F_GETFL);
      if (status >= 0 && (status & O_NONBLOCK) == 0) return false;  // the kernel did wait: limitWaits()
    }
    const int ready = WaitFor(fd_, events_, deadline_);
    if (ready < 0) *error = errno;
    return ready > 0;
  }

 private:
  const int fd_;
  const short events_;
  const bool wait_;
  const int64_t deadline_;
};

// What a call that has nothing to tell but that, or an error of poll(), comes back with.
napi_value Nothing(napi_env env, int error) {
  if (error == 0) return Count(env, -1);
  ThrowSystemError(env, error, "poll");
  return nullptr;
}

// The fd becomes JavaScript's, which may close it in any way.
void TakeFd(napi_env env, const SocketState *state, int fd, napi_value fds) {
  if (state->closer != nullptr && sandwire_socket_lingers(fd)) {
    sandwire_closer_unset_linger(state->closer.get(), fd);
  }
  uint32_t place = 0;
  napi_get_array_length(env, fds, &place);
  napi_set_element(env, fds, place, Napi::Number::New(env, fd));
}

napi_value ReceiveInto(napi_env env, SocketState *state, char *into, size_t length, napi_value fds, bool wait,
                       int32_t timeout_ms) {
  const Patience patience(state->fd, POLLIN, wait, timeout_ms);
  sandwire_arrived_fds arrived;
  ssize_t count;
  int error = 0;
  do {
    count = sandwire_socket_receive_credentials(state->fd, into, length, patience.flags(), &arrived,
                                                state->wants_credentials ? &state->writer : nullptr);
  } while (count == -EAGAIN && patience.Wait(&error));
  if (count > 0 && arrived.count == 1) {
    TakeFd(env, state, arrived.fds[0], fds);
    return Count(env, count);
  }
  for (size_t i = 0; i < arrived.count; i++)
    CloseForeign(state->closer, arrived.fds[i]);
  if (count >= 0 && arrived.count == 0) return Count(env, count);
  if (count == -EAGAIN) return Nothing(env, error);
  if (count >= 0) {
    napi_throw_error(env, "SURPLUS_FD",
                     "more than one file descriptor came with one message; they were closed");
  } else {
    ThrowSystemError(env, static_cast<int>(-count), "recvmsg");
  }
  return nullptr;
}

napi_value SendFrom(napi_env env, SocketState *state, char *bytes, size_t length, int fd, bool wait,
                    int32_t timeout_ms) {
  const Patience patience(state->fd, POLLOUT, wait, timeout_ms);
  const struct iovec part = {bytes, length};
  ssize_t count;
  int error = 0;
  do {
    count = sandwire_socket_send(state->fd, &part, 1, patience.flags(), fd);
  } while (count == -EAGAIN && patience.Wait(&error));
  if (count >= 0) return Count(env, count);
  if (count == -EAGAIN) return Nothing(env, error);
  ThrowSystemError(env, static_cast<int>(-count), "sendmsg");
  return nullptr;
}

// offset and length within a Uint8Array; null if they are not.
char *PieceOf(napi_env env, napi_value array, napi_value offset_value, napi_value length_value,
              uint32_t *length) {
  void *data = nullptr;
  size_t available = 0;
  uint32_t offset = 0;
  if (napi_get_typedarray_info(env, array, nullptr, &available, &data, nullptr, nullptr) != napi_ok ||
      napi_get_value_uint32(env, offset_value, &offset) != napi_ok ||
      napi_get_value_uint32(env, length_value, length) != napi_ok || *length == 0 || offset > available ||
      *length > available - offset) {
    return nullptr;
  }
  return static_cast<char *>(data) + offset;
}

napi_value Receive(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value arguments[6];
  SocketState *state = Begin(env, info, &count, arguments, "recvmsg");
  if (state == nullptr) return nullptr;
  uint32_t length = 0;
  bool wait = false;
  int32_t timeout_ms = -1;
  char *into = PieceOf(env, arguments[0], arguments[1], arguments[2], &length);
  if (into == nullptr || napi_get_value_bool(env, arguments[4], &wait) != napi_ok ||
      napi_get_value_int32(env, arguments[5], &timeout_ms) != napi_ok) {
    return BadArguments(env, "receive(into, offset, length, fds, wait, timeoutMs): bad arguments");
  }
  return ReceiveInto(env, state, into, length, arguments[3], wait, timeout_ms);
}

napi_value Send(napi_env env, napi_callback_info info) {
  size_t count = 6;
  napi_value arguments[6];
  SocketState *state = Begin(env, info, &count, arguments, "sendmsg");
  if (state == nullptr) return nullptr;
  uint32_t length = 0;
  int32_t fd = -1;
  bool wait = false;
  int32_t timeout_ms = -1;
  char *bytes = PieceOf(env, arguments[0], arguments[1], arguments[2], &length);
  if (bytes == nullptr || napi_get_value_int32(env, arguments[3], &fd) != napi_ok ||
      napi_get_value_bool(env, arguments[4], &wait) != napi_ok ||
      (count > 5 && napi_get_value_int32(env, arguments[5], &timeout_ms) != napi_ok)) {
    return BadArguments(env, "send(bytes, offset, length, fd, wait, timeoutMs): bad arguments");
  }
  return SendFrom(env, state, bytes, length, fd, wait, timeout_ms);
}

void Forget(napi_env env, KnownBuffer *known) {
  if (known->reference != nullptr) napi_delete_reference(env, known->reference);
  *known = KnownBuffer();
}

bool Remember(napi_env env, napi_value array, KnownBuffer *known) {
  Forget(env, known);
  void *data = nullptr;
  size_t size = 0;
  if (napi_get_typedarray_info(env, array, nullptr, &size, &data, nullptr, nullptr) != napi_ok ||
      napi_create_reference(env, array, 1, &known->reference) != napi_ok) {
    return false;
  }
  known->data = static_cast<char *>(data);
  known->size = size;
  return true;
}

napi_value KnowInbox(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value array = nullptr;
  SocketState *state = Begin(env, info, &count, &array, "recvmsg");
  if (state == nullptr || Remember(env, array, &state->inbox)) return nullptr;
  return BadArguments(env, "knowInbox(inbox): a Uint8Array is needed");
}

napi_value KnowOutbox(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value array = nullptr;
  SocketState *state = Begin(env, info, &count, &array, "sendmsg");
  if (state == nullptr || Remember(env, array, &state->outbox)) return nullptr;
  return BadArguments(env, "knowOutbox(outbox): a Uint8Array is needed");
}

napi_value ReceiveKnown(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  SocketState *state = Begin(env, info, &count, arguments, "recvmsg");
  if (state == nullptr) return nullptr;
  uint32_t offset = 0;
  bool wait = false;
  int32_t timeout_ms = -1;
  if (napi_get_value_uint32(env, arguments[0], &offset) != napi_ok || offset >= state->inbox.size ||
      napi_get_value_bool(env, arguments[2], &wait) != napi_ok ||
      napi_get_value_int32(env, arguments[3], &timeout_ms) != napi_ok) {
    return BadArguments(env, "receiveKnown(offset, fds, wait, timeoutMs): bad arguments");
  }
  return ReceiveInto(env, state, state->inbox.data + offset, state->inbox.size - offset, arguments[1], wait,
                     timeout_ms);
}

napi_value SendKnown(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  SocketState *state = Begin(env, info, &count, arguments, "sendmsg");
  if (state == nullptr) return nullptr;
  uint32_t length = 0;
  bool wait = false;
  if (napi_get_value_uint32(env, arguments[0], &length) != napi_ok || length == 0 ||
      length > state->outbox.size || napi_get_value_bool(env, arguments[1], &wait) != napi_ok) {
    return BadArguments(env, "sendKnown(length, wait): bad arguments");
  }
  return SendFrom(env, state, state->outbox.data, length, -1, wait, -1);
}

}  // namespace

void ReleaseState(napi_env env, SocketState *state) {
  if (--state->owners > 0) return;
  Forget(env, &state->inbox);
  Forget(env, &state->outbox);
  delete state;
}

void DefineSocketCalls(Napi::Env env, Napi::Object socket, SocketState *state) {
  const struct {
    const char *name;
    napi_callback call;
  } calls[] = {{"receive", &Receive},           {"send", &Send},
               {"knowInbox", &KnowInbox},       {"knowOutbox", &KnowOutbox},
               {"receiveKnown", &ReceiveKnown}, {"sendKnown", &SendKnown}};
  for (const auto &[name, call] : calls) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, state, &function) != napi_ok) return;
    const auto release = [](napi_env of, void *data, void *) {
      ReleaseState(of, static_cast<SocketState *>(data));
    };
    if (napi_add_finalizer(env, function, state, release, nullptr, nullptr) != napi_ok) return;
    state->owners += 1;
    napi_set_named_property(env, socket, name, function);
  }
}

}  // namespace sandwire
