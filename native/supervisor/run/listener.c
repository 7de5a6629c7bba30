#include "listener.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandwire/wire.generated.h"

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "sandwire supports x86-64 and aarch64"
#endif

static bool names_listener(int directory, const char *name) {
  char target[64];
  ssize_t length = readlinkat(directory, name, target, sizeof(target) - 1);
  if (length < 0) {
    return false;
  }
  target[length] = '\0';
  return strcmp(target, "anon_inode:seccomp notify") == 0;
}

bool listener_is_one(int fd) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return names_listener(AT_FDCWD, path);
}

/* Its number in the process if that is not the announced one: another thread opened a file in between. */
static int find_listener(pid_t pid) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
  DIR *directory = opendir(path);
  if (directory == NULL) {
    return -1;
  }
  int number = -1;
  const struct dirent *entry;
  while (number < 0 && (entry = readdir(directory)) != NULL) {
    if (names_listener(dirfd(directory), entry->d_name)) {
      number = (int)strtol(entry->d_name, NULL, 10);
    }
  }
  closedir(directory);
  if (number < 0) {
    errno = ENOENT;
  }
  return number;
}

int listener_take(int pidfd, pid_t pid, int number, bool is_certain) {
  int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  if (fd >= 0 && (is_certain || listener_is_one(fd))) {
    return fd;
  }
  if (fd < 0 && errno != EBADF) {
    return -1;
  }
  if (fd >= 0) {
    close(fd);
  }
  number = find_listener(pid);
  return number < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
}

void listener_stay_on_one_core(int listener) {
  /* From linux/seccomp.h; many systems' headers are older than the kernels they run on. */
  const unsigned long set_flags = _IOW('!', 4, uint64_t), sync_wake_up = 1;
  (void)ioctl(listener, set_flags, sync_wake_up);
}

bool listener_is_over(int listener) {
  struct pollfd look = {.fd = listener};
  return listener < 0 || (poll(&look, 1, 0) > 0 && (look.revents & POLLHUP) != 0);
}

bool listener_still_waits(int listener, uint64_t id) {
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool listener_is_launch(int mode, const struct seccomp_notif *notification, int number) {
  const struct seccomp_data *data = &notification->data;
  if (data->arch != NATIVE_ARCH) {
    return false;
  }
  if (mode == SANDWIRE_SANDBOXED_BEFORE_EXEC) {
    return data->nr == SYS_execveat && (uint32_t)data->args[4] == AT_EMPTY_PATH &&
           (uint32_t)data->args[5] == SANDWIRE_EXEC_MAGIC;
  }
  return data->nr == SYS_close_range && (uint32_t)data->args[0] == (uint32_t)number &&
         (uint32_t)data->args[1] == (uint32_t)number && (uint32_t)data->args[2] == 0 &&
         (uint32_t)data->args[5] == SANDWIRE_CLOSE_MAGIC;
}

bool listener_is_sandbox2_check(const struct seccomp_notif *notification) {
  const struct seccomp_data *data = &notification->data;
  return data->arch == NATIVE_ARCH && data->nr == SYS_seccomp &&
         (uint32_t)data->args[0] == SECCOMP_SET_MODE_FILTER &&
         ((uint32_t)data->args[1] & SECCOMP_FILTER_FLAG_TSYNC) != 0 &&
         ((uint32_t)data->args[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0 &&
         (uint32_t)data->args[3] == SANDWIRE_EXEC_MAGIC;
}

int listener_continue(int listener, const struct seccomp_notif *notification) {
  struct seccomp_notif_resp response;
  memset(&response, 0, sizeof(response));
  response.id = notification->id;
  response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}
