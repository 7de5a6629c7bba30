/* judge_calls: asks the kernel itself how a seccomp program answers calls. Standard input: the number of
 * instructions, the instructions, the number of calls, and for each call the entry (0: syscall, 1: int 0x80),
 * the syscall's number and six arguments. Everything has 64 bits except the counts (32 bits) and the
 * instructions. Standard output: for each call the result, 0 or an errno, of 32 bits. The program must answer
 * every call with an errno, so that none takes effect; the caller encodes the other actions as errnos. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
  uint64_t entry, number, args[6];
};

static void read_all(void *to, size_t size) {
  for (size_t done = 0; done < size;) {
    ssize_t got = read(STDIN_FILENO, (char *)to + done, size - done);
    if (got <= 0) {
      _exit(100);
    }
    done += (size_t)got;
  }
}

static void *shared(size_t size) {
  void *memory = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    _exit(101);
  }
  return memory;
}

static int32_t answer_to(const struct call *call) {
  const uint64_t *args = call->args;
#if defined(__x86_64__)
  if (call->entry == 1) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(call->number), "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]), "D"(args[4])
                     : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? (int32_t)-result : 0;
  }
#endif
  long result = syscall((long)call->number, args[0], args[1], args[2], args[3], args[4], args[5]);
  return result < 0 ? errno : 0;
}

int main(void) {
  uint32_t length, count;
  read_all(&length, sizeof(length));
  if (length > BPF_MAXINSNS) {
    return 102;
  }
  struct sock_filter *filter = shared(length * sizeof(*filter));
  read_all(filter, length * sizeof(*filter));
  read_all(&count, sizeof(count));
  if (count > 1000000) {
    return 103;
  }
  struct call *calls = shared(count * sizeof(*calls));
  read_all(calls, count * sizeof(*calls));
  int32_t *answers = shared(count * sizeof(*answers) + sizeof(*answers));
  pid_t child = fork();
  if (child == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    struct sock_fprog program = {.len = (unsigned short)length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      _exit(errno);
    }
    for (uint32_t i = 0; i < count; i++) {
      answers[i] = answer_to(&calls[i]);
    }
    answers[count] = 1;
    __builtin_trap(); /* exit is a syscall too */
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status) != 0) ||
      answers[count] != 1) {
    return 104;
  }
  size_t size = count * sizeof(*answers);
  return write(STDOUT_FILENO, answers, size) == (ssize_t)size ? 0 : 105;
}
