/* without_io_uring COMMAND …: executes it as the supervisor executes fork servers: io_uring is refused. */
#include <sys/prctl.h>
#include <unistd.h>

#include "filter.h"

int main(int argc, char **argv) {
  if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || sandwire_filter_forbid_io_uring() != 0) {
    return 1;
  }
  execv(argv[1], argv + 1);
  return 127;
}
