/* sandbox2_client VERSION [again | plain]: a sandboxee that behaves like sandbox2's own client to the end of
 * its handshake, without libsandwire. VERSION is the version it sends. Then it sends the Uint32 42 over
 * comms, and ends. "again" makes the client's last call once more afterwards; "plain" makes a seccomp() call
 * without the client's mark. Runs as the sandboxee, before and under its policy. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COMMS_FD = 1023, MAX_PAYLOAD = 64 * 1024, FIRST_VERSIONED = 20260702 };
enum { TAG_BYTES = 0x101, TAG_PROTOBUF = 0x102, TAG_VERSION = 0x104, TAG_FD = 0x201, TAG_NO_UPGRADE = 0x204 };
#define RESERVED 0x80000000u
#define TAG_INT32 (RESERVED + 6)
#define TAG_UINT32 (RESERVED + 7)
#define TAG_STRING (RESERVED + 0x100)
#define READY 0x0A0B0C01u
#define GO_UNOTIFY 0x0A0B0C03u
#define LIMITS_APPLIED 0x0A0B0C04u
#define MARK 0x921c2c34u

static uint8_t payload[MAX_PAYLOAD];
static struct sock_filter policy[BPF_MAXINSNS];
static unsigned short policy_count;
static atomic_int listener = -1, helper_tid = -1;

_Noreturn static void give_up(const char *what) {
  dprintf(2, "sandbox2_client: %s: %s\n", what, strerror(errno));
  abort();
}

static void must(int condition, const char *what) {
  if (!condition) {
    give_up(what);
  }
}

/* ---- Messages ---- */

static void send_message(uint32_t tag, const void *bytes, uint64_t size, int fd) {
  uint8_t message[12 + 256];
  must(size <= 256, "a message to send");
  memcpy(message, &tag, 4);
  memcpy(message + 4, &size, 8);
  if (size > 0) {
    memcpy(message + 12, bytes, size);
  }
  struct iovec part = {message, 12 + size};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr alignment;
  } control;
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    memset(&control, 0, sizeof(control));
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof(control.bytes);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof(int));
  }
  must(sendmsg(COMMS_FD, &header, MSG_NOSIGNAL) == (ssize_t)(12 + size), "sendmsg");
}

static void receive_exactly(void *bytes, size_t size) {
  size_t have = 0;
  while (have < size) {
    /* An fd is of no use here: mappings are received and closed again. */
    union {
      char bytes[CMSG_SPACE(sizeof(int))];
      struct cmsghdr alignment;
    } control;
    struct iovec part = {(uint8_t *)bytes + have, size - have};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(COMMS_FD, &header, MSG_CMSG_CLOEXEC);
    must(got > 0, "recvmsg");
    have += (size_t)got;
    const struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    if (rights != NULL && rights->cmsg_type == SCM_RIGHTS) {
      int fd;
      memcpy(&fd, CMSG_DATA(rights), sizeof(int));
      close(fd);
    }
  }
}

/* Returns the payload's size, and the tag in *tag. */
static uint64_t receive_message(uint32_t *tag) {
  uint64_t size;
  receive_exactly(tag, 4);
  receive_exactly(&size, 8);
  must(size <= sizeof(payload), "a payload");
  receive_exactly(payload, size);
  return size;
}

static uint64_t expect(uint32_t wanted, const char *what) {
  uint32_t tag;
  uint64_t size = receive_message(&tag);
  must(tag == wanted, what);
  return size;
}

static uint32_t expect_uint32(const char *what) {
  uint32_t value;
  must(expect(TAG_UINT32, what) == 4, what);
  memcpy(&value, payload, 4);
  return value;
}

/* ---- The configuration ---- */

static void take_policy(const uint8_t *bytes, size_t size) {
  must(size > 0 && size <= sizeof(policy) && size % sizeof(policy[0]) == 0, "the policy");
  memcpy(policy, bytes, size);
  policy_count = (unsigned short)(size / sizeof(policy[0]));
}

static uint64_t varint(const uint8_t **at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    value |= (uint64_t)(**at & 0x7f) << shift;
    if (!(*(*at)++ & 0x80)) {
      return value;
    }
  }
}

/* SandboxingConfig: cwd = 1, policy_bytes = 2, fd_mappings = 5. Each mapping's fd follows. */
static void take_configuration(void) {
  const uint8_t *at = payload, *end = payload + expect(RESERVED + TAG_PROTOBUF, "SandboxingConfig");
  int mappings = 0;
  while (at < end) {
    uint64_t key = varint(&at), size = varint(&at);
    if (key >> 3 == 2) {
      take_policy(at, size);
    }
    mappings += key >> 3 == 5;
    at += size;
  }
  while (mappings-- > 0) {
    expect(RESERVED + TAG_FD, "a mapped fd");
  }
}

static void take_legacy_configuration(void) {
  for (uint32_t count = expect_uint32("the number of mappings"); count > 0; count--) {
    expect(TAG_INT32, "a mapping's number");
    expect(RESERVED + TAG_FD, "a mapped fd");
    expect(TAG_STRING, "a mapping's name");
  }
  expect(TAG_STRING, "the working directory");
}

/* ---- Taking the filter ---- */

static long seccomp_with(unsigned flags, const struct sock_fprog *program, uint32_t mark) {
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program, mark);
}

/* Sends the listener, and then has a filter of its own, so that the other thread's TSYNC names it while it
 * lives. */
static void *help(void *unused) {
  int fd;
  while ((fd = atomic_load(&listener)) == -1) {
  }
  send_message(RESERVED + TAG_FD, NULL, 0, fd);
  close(fd);
  must(expect_uint32("the limits") == LIMITS_APPLIED, "the limits");
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {1, &allow};
  must(seccomp_with(0, &program, 0) == 0, "the helper's filter");
  atomic_store(&helper_tid, (int)syscall(SYS_gettid));
  return unused;
}

/* From now on the same call kills. */
static long close_the_door(void) {
  static struct sock_filter instructions[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  static const struct sock_fprog program = {sizeof(instructions) / sizeof(instructions[0]), instructions};
  return seccomp_with(SECCOMP_FILTER_FLAG_TSYNC, &program, MARK);
}

static void take_filter(void) {
  pthread_t helper;
  must(pthread_create(&helper, NULL, help, NULL) == 0, "pthread_create");
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  struct sock_fprog program = {policy_count, policy};
  long fd = seccomp_with(SECCOMP_FILTER_FLAG_NEW_LISTENER, &program, 0);
  must(fd >= 0, "the policy");
  atomic_store(&listener, (int)fd);
  int helping;
  while ((helping = atomic_load(&helper_tid)) == -1) {
  }
  long result;
  while ((result = close_the_door()) == helping) {
  }
  must(result == 0, "the last filter");
}

int main(int argc, char **argv) {
  must(argc >= 2, "usage: sandbox2_client VERSION [again | plain]");
  const char *version = argv[1], *number = strchr(version, 'V');
  send_message(RESERVED + TAG_VERSION, version, strlen(version), -1);
  if (number != NULL) {
    expect(RESERVED + TAG_VERSION, "the host's version");
  }
  const int is_versioned = number != NULL && atoi(number + 1) >= FIRST_VERSIONED;
  if (is_versioned) {
    take_configuration();
  } else {
    take_legacy_configuration();
  }
  expect(RESERVED + TAG_NO_UPGRADE, "no upgrade");
  if (!is_versioned) {
    take_policy(payload, expect(RESERVED + TAG_BYTES, "the policy"));
  }
  send_message(TAG_UINT32, &(uint32_t){READY}, 4, -1);
  must((expect_uint32("go") & 0x0fffffff) == GO_UNOTIFY, "go");
  take_filter();
  if (argc > 2 && strcmp(argv[2], "again") == 0) {
    close_the_door();
  } else if (argc > 2) {
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    if (seccomp_with(SECCOMP_FILTER_FLAG_TSYNC, &program, 0) == 0 || errno != EINVAL) {
      _exit(9);
    }
  }
  send_message(TAG_UINT32, &(uint32_t){42}, 4, -1);
  _exit(0);
}
