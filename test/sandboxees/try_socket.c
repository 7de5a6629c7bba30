/* try_socket FD HERE THERE [INTERFACE …]: tries on a socket that it was given what could tell of the network
 * the socket is of, or reach others there, and prints a line for each attempt: its name, and 0, an errno, or
 * what it found. HERE: an abstract name to take; THERE: one to connect to. FD "own": one that it makes.
 * try_socket names FD NAME …: takes these names, which may be paths, and connects to them.
 * try_socket accept PATH INTERFACE …: listens there, and asks the same of the first connection. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  PASS_PIDFD = 76,
  PEER_PIDFD = 77,
  COOKIE = 57,
  NETNS_COOKIE = 71,
  PEER_SECURITY = 31,
  PASS_SECURITY = 34
};

static void say(const char *attempt, long result) {
  dprintf(1, "%s %d\n", attempt, result < 0 ? errno : 0);
}

/* A path, or a name in the abstract namespace. */
static struct sockaddr_un named(const char *name, socklen_t *length) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const size_t start = name[0] == '/' ? 0 : 1;
  snprintf(address.sun_path + start, sizeof address.sun_path - start, "%s", name);
  *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  return address;
}

static int bind_to(int fd, const char *name) {
  socklen_t length;
  const struct sockaddr_un address = named(name, &length);
  return bind(fd, (const struct sockaddr *)&address, length);
}

static int connect_to(int fd, const char *name) {
  socklen_t length;
  const struct sockaddr_un address = named(name, &length);
  return connect(fd, (const struct sockaddr *)&address, length);
}

static void list_addresses(int fd) {
  struct ifreq found[64];
  struct ifconf list = {.ifc_len = sizeof found, .ifc_req = found};
  const int result = ioctl(fd, SIOCGIFCONF, &list);
  if (result < 0) {
    say("SIOCGIFCONF", result);
    return;
  }
  dprintf(1, "SIOCGIFCONF");
  for (size_t i = 0; i < (size_t)list.ifc_len / sizeof found[0]; i++) {
    dprintf(1, " %s", found[i].ifr_name);
  }
  dprintf(1, "\n");
}

static void list_names(int fd) {
  dprintf(1, "SIOCGIFNAME");
  for (int index = 1; index <= 64; index++) {
    struct ifreq request = {.ifr_ifindex = index};
    if (ioctl(fd, SIOCGIFNAME, &request) == 0) {
      dprintf(1, " %s", request.ifr_name);
    } else if (errno != ENODEV) {
      dprintf(1, " %d", errno);
      break;
    }
  }
  dprintf(1, "\n");
}

/* Asks, and changes nothing: it also runs unsandboxed, to show what there is to be found. */
static void ask_for(int fd, const char *interface) {
  static const struct {
    const char *name;
    unsigned long request;
  } requests[] = {{"SIOCGIFHWADDR", SIOCGIFHWADDR},
                  {"SIOCGIFINDEX", SIOCGIFINDEX},
                  {"SIOCGIFFLAGS", SIOCGIFFLAGS},
                  {"SIOCGIFADDR", SIOCGIFADDR}};
  struct ifreq request;
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    memset(&request, 0, sizeof request);
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    say(requests[i].name, ioctl(fd, requests[i].request, &request));
  }
  struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  request.ifr_data = (char *)&driver;
  say("SIOCETHTOOL", ioctl(fd, SIOCETHTOOL, &request));
  say("SO_BINDTODEVICE",
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)));
}

static void try_options(int fd) {
  const int on = 1;
  struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
  const struct sock_fprog filter = {1, all};
  uint8_t value[256];
  static const struct {
    const char *name;
    int option;
  } telling[] = {{"SO_PEERPIDFD", PEER_PIDFD},
                 {"SO_PEERSEC", PEER_SECURITY},
                 {"SO_COOKIE", COOKIE},
                 {"SO_NETNS_COOKIE", NETNS_COOKIE}};
  for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
    socklen_t size = sizeof value;
    say(telling[i].name, getsockopt(fd, SOL_SOCKET, telling[i].option, value, &size));
  }
  say("SO_PASSPIDFD", setsockopt(fd, SOL_SOCKET, PASS_PIDFD, &on, sizeof on));
  say("SO_PASSSEC", setsockopt(fd, SOL_SOCKET, PASS_SECURITY, &on, sizeof on));
  say("SO_PRIORITY", setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &on, sizeof on));
  say("SO_ATTACH_FILTER", setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
  (void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &on, sizeof on);
  say("SO_SNDBUF", setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)));
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
    dprintf(1, "SO_PEERCRED %d\n", (int)peer.pid);
  }
}

static void ask_all(int fd, char **interfaces) {
  list_addresses(fd);
  list_names(fd);
  say("SIOCGSKNS", ioctl(fd, SIOCGSKNS));
  for (; *interfaces != NULL; interfaces++) {
    ask_for(fd, *interfaces);
  }
}

static int accept_at(char **arguments) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", arguments[0]);
  const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listening, 1) != 0) {
    say("listen", -1);
    return 1;
  }
  dprintf(1, "listening\n");
  const int accepted = accept(listening, NULL, NULL);
  say("accept", accepted);
  say("bind", bind_to(accepted, "sandwire-accepted"));
  ask_all(accepted, arguments + 1);
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "accept") == 0) {
    return accept_at(argv + 2);
  }
  if (argc > 2 && strcmp(argv[1], "names") == 0) {
    const int fd = atoi(argv[2]);
    for (char **name = argv + 3; *name != NULL; name++) {
      say("bind", bind_to(fd, *name));
      say("connect", connect_to(fd, *name));
    }
    return 0;
  }
  if (argc < 4) {
    return 2;
  }
  const int fd = strcmp(argv[1], "own") == 0 ? socket(AF_UNIX, SOCK_STREAM, 0) : atoi(argv[1]);
  ask_all(fd, argv + 4);
  try_options(fd);
  say("bind", bind_to(fd, argv[2]));
  say("autobind", bind(fd, (const struct sockaddr *)&(struct sockaddr_un){.sun_family = AF_UNIX}, 2));
  say("listen", listen(fd, 1));
  say("connect", connect_to(fd, argv[3]));
  say("connect-nowhere", connect_to(fd, "sandwire-nobody-listens-here"));
  say("disconnect", connect(fd, &(const struct sockaddr){.sa_family = AF_UNSPEC}, 2));
  return 0;
}
