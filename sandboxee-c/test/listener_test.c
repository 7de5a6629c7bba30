#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "sandwire/sandwire.h"
#include "wire_bytes.h"

static char folder[64], path[96], name[64];

static void talk(const char *address) {
  struct sandwire_listener *listener = sandwire_listen(address);
  REQUIRE(listener);
  CHECK(fcntl(sandwire_listener_fd(listener), F_GETFD) & FD_CLOEXEC);
  CHECK(!sandwire_listener_accept(listener, 0) && errno == EAGAIN);
  CHECK(!sandwire_listener_accept(listener, 20) && errno == EAGAIN);
  CHECK(!sandwire_listen(address) && errno == EADDRINUSE);
  pid_t pid = fork();
  if (pid == 0) {
    struct sandwire_comms *comms = sandwire_comms_connect(address, -1);
    uint32_t value = 0;
    int ok = comms && sandwire_comms_send_string(comms, "hello") == SANDWIRE_OK &&
             sandwire_comms_recv_uint32(comms, &value) == SANDWIRE_OK && value == 5;
    _exit(ok ? 0 : 1);
  }
  struct sandwire_comms *comms = sandwire_listener_accept(listener, -1);
  REQUIRE(comms);
  CHECK(fcntl(sandwire_comms_fd(comms), F_GETFD) & FD_CLOEXEC);
  CHECK(!(fcntl(sandwire_comms_fd(comms), F_GETFL) & O_NONBLOCK));
  struct sandwire_credentials credentials;
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_peer_credentials(comms, &credentials));
  CHECK(credentials.pid == pid && credentials.uid == getuid() && credentials.gid == getgid());
  char text[8];
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_recv_string(comms, text, sizeof text, NULL));
  sandwire_listener_destroy(listener); /* the connection goes on */
  CHECK_EQUAL(SANDWIRE_OK, sandwire_comms_send_uint32(comms, (uint32_t)strlen(text)));
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  sandwire_comms_destroy(comms);
}

static void a_full_queue_is_no_hang(const char *address) {
  struct sandwire_listener *listener = sandwire_listen(address);
  struct sandwire_comms *waiting[512];
  size_t count = 0;
  REQUIRE(listener);
  while (count < 512 && (waiting[count] = sandwire_comms_connect(address, 0)) != NULL) {
    CHECK(!(fcntl(sandwire_comms_fd(waiting[count]), F_GETFL) & O_NONBLOCK));
    count++;
  }
  CHECK(count < 512 && errno == EAGAIN);
  CHECK(!sandwire_comms_connect(address, 30) && errno == EAGAIN);
  struct sandwire_comms *first = sandwire_listener_accept(listener, 0);
  CHECK(first);
  struct sandwire_comms *late = sandwire_comms_connect(address, 1000);
  CHECK(late);
  sandwire_comms_destroy(first);
  sandwire_comms_destroy(late);
  while (count > 0) {
    sandwire_comms_destroy(waiting[--count]);
  }
  sandwire_listener_destroy(listener);
}

int main(void) {
  (void)snprintf(folder, sizeof folder, "/tmp/sandwire-test-XXXXXX");
  REQUIRE(mkdtemp(folder));
  (void)snprintf(path, sizeof path, "%s/socket", folder);
  (void)snprintf(name, sizeof name, "@sandwire-test-%d", (int)getpid());
  size_t before = count_open_fds();

  talk(name);
  talk(path);
  CHECK(access(path, F_OK) == -1 && errno == ENOENT); /* removed with its listener */
  CHECK(!sandwire_comms_connect(name, 0) && errno == ECONNREFUSED);
  CHECK(!sandwire_comms_connect(path, 0) && errno == ENOENT);
  a_full_queue_is_no_hang(name);

  /* A file that is not its own is neither replaced nor removed. */
  int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  CHECK(!sandwire_listen(path) && errno == EADDRINUSE);
  REQUIRE(unlink(path) == 0);
  struct sandwire_listener *first = sandwire_listen(path);
  REQUIRE(first && unlink(path) == 0);
  struct sandwire_listener *second = sandwire_listen(path);
  REQUIRE(second);
  sandwire_listener_destroy(first);
  CHECK(access(path, F_OK) == 0);
  sandwire_listener_destroy(second);
  sandwire_listener_destroy(NULL);
  close(file);

  char longest[110];
  memset(longest, 'x', sizeof longest);
  longest[108] = '\0'; /* one more than a path may have */
  CHECK(!sandwire_listen(longest) && errno == ENAMETOOLONG);
  longest[0] = '@'; /* the NUL of a path is not needed here */
  struct sandwire_listener *listener = sandwire_listen(longest);
  CHECK(listener);
  sandwire_listener_destroy(listener);
  longest[108] = 'x';
  longest[109] = '\0';
  CHECK(!sandwire_listen(longest) && errno == ENAMETOOLONG);
  CHECK(!sandwire_listen("") && errno == EINVAL);
  CHECK(!sandwire_listen("@") && errno == EINVAL);
  CHECK(!sandwire_comms_connect("", 0) && errno == EINVAL);

  CHECK_EQUAL(before, count_open_fds());
  REQUIRE(rmdir(folder) == 0);
  return report_checks();
}
