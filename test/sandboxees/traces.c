/* traces leave|find: leaves every trace that a process can leave in its sandbox, or looks for them. Prints
 * the traces it could leave, or found, one a line. Sandboxees share no process, so everything that is found
 * came with the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEY = 0x53570001, KEYRING_SESSION = -3 };

static const char *const files[] = {"/tmp/trace", "/trace", "/proc/sys/kernel/domainname"};

static int abstract_socket(int (*use)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0sandwire-trace"};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int result = use(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 15);
  return result == 0 ? listen(fd, 1) == 0 || errno == EINVAL ? 0 : -1 : -1;
}

static void say(const char *what, int is_there) {
  if (is_there) {
    printf("%s\n", what);
  }
}

static int leave(void) {
  for (size_t i = 0; i < 2; i++) {
    say(files[i], open(files[i], O_CREAT | O_WRONLY, 0666) >= 0);
  }
  say("shared memory", shmget(KEY, 4096, IPC_CREAT | 0666) >= 0);
  say("message queue", msgget(KEY, IPC_CREAT | 0666) >= 0);
  say("semaphore", semget(KEY, 1, IPC_CREAT | 0666) >= 0);
  say("posix queue", mq_open("/sandwire-trace", O_CREAT | O_RDWR, 0666, NULL) >= 0);
  say("key", syscall(SYS_add_key, "user", "sandwire-trace", "x", 1, KEYRING_SESSION) >= 0);
  say("abstract socket", abstract_socket(bind) == 0);
  say("process", fork() > 0 || pause());
  return 0;
}

static int find(void) {
  struct stat found;
  for (size_t i = 0; i < 2; i++) {
    say(files[i], stat(files[i], &found) == 0);
  }
  say("shared memory", shmget(KEY, 0, 0) >= 0);
  say("message queue", msgget(KEY, 0) >= 0);
  say("semaphore", semget(KEY, 0, 0) >= 0);
  say("posix queue", mq_open("/sandwire-trace", O_RDWR) >= 0);
  say("key", syscall(SYS_request_key, "user", "sandwire-trace", NULL, 0) >= 0);
  say("abstract socket", abstract_socket(connect) == 0);
  say("process", getpid() != 2 || stat("/proc/3", &found) == 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "leave") == 0) {
    return leave();
  }
  return find();
}
