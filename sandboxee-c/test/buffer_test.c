#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "check.h"
#include "sandwire/sandwire.h"

int main(void) {
  struct sandwire_buffer *buffer = sandwire_buffer_create(100000);
  REQUIRE(buffer);
  CHECK_EQUAL(100000, sandwire_buffer_size(buffer));
  CHECK(fcntl(sandwire_buffer_fd(buffer), F_GETFD) & FD_CLOEXEC);
  sandwire_buffer_data(buffer)[0] = 'a';
  sandwire_buffer_data(buffer)[99999] = 'z';
  CHECK(ftruncate(sandwire_buffer_fd(buffer), 10) == -1 && errno == EPERM);

  int copy = dup(sandwire_buffer_fd(buffer));
  struct sandwire_buffer *other = sandwire_buffer_from_fd(copy);
  REQUIRE(other);
  CHECK_EQUAL(100000, sandwire_buffer_size(other));
  CHECK(sandwire_buffer_data(other)[99999] == 'z');
  CHECK_EQUAL(SANDWIRE_OK, sandwire_buffer_expand(other, 300000));
  sandwire_buffer_data(other)[299999] = '!';
  CHECK_EQUAL(100000, sandwire_buffer_size(buffer));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_buffer_expand(buffer, 0));
  CHECK_EQUAL(300000, sandwire_buffer_size(buffer));
  CHECK(sandwire_buffer_data(buffer)[299999] == '!' && sandwire_buffer_data(buffer)[0] == 'a');
  CHECK_EQUAL(SANDWIRE_OK, sandwire_buffer_expand(buffer, 5));
  CHECK_EQUAL(300000, sandwire_buffer_size(buffer));
  CHECK_EQUAL(SANDWIRE_ERROR_TOO_LARGE, sandwire_buffer_expand(buffer, SIZE_MAX));
  /* More than the address space holds: nothing has changed, neither here nor for the other side. */
  CHECK_EQUAL(SANDWIRE_ERROR_SYSTEM, sandwire_buffer_expand(buffer, (size_t)1 << 50));
  CHECK(errno == ENOMEM || errno == EINVAL); /* mremap(2) may return both */
  CHECK_EQUAL(300000, sandwire_buffer_size(buffer));
  CHECK_EQUAL(SANDWIRE_OK, sandwire_buffer_expand(buffer, 400000));
  CHECK_EQUAL(400000, sandwire_buffer_size(buffer));
  CHECK(sandwire_buffer_data(buffer)[299999] == '!' && sandwire_buffer_data(buffer)[399999] == 0);
  CHECK_EQUAL(SANDWIRE_OK, sandwire_buffer_expand(other, 0));
  CHECK_EQUAL(400000, sandwire_buffer_size(other));
  /* The other side has made it larger than the address space: the existing mapping stays. */
  REQUIRE(ftruncate(sandwire_buffer_fd(other), (off_t)1 << 50) == 0);
  CHECK_EQUAL(SANDWIRE_ERROR_SYSTEM, sandwire_buffer_expand(buffer, 500000));
  CHECK_EQUAL(400000, sandwire_buffer_size(buffer));
  sandwire_buffer_data(buffer)[399999] = '.';
  CHECK(sandwire_buffer_data(other)[399999] == '.');
  /* Sealed against growing: the address space reserved for it is given back. */
  struct sandwire_buffer *sealed = sandwire_buffer_create(4096);
  REQUIRE(sealed && fcntl(sandwire_buffer_fd(sealed), F_ADD_SEALS, F_SEAL_GROW) == 0);
  CHECK_EQUAL(SANDWIRE_ERROR_SYSTEM, sandwire_buffer_expand(sealed, 8192));
  CHECK(errno == EPERM);
  CHECK_EQUAL(4096, sandwire_buffer_size(sealed));
  sandwire_buffer_data(sealed)[4095] = '.';
  sandwire_buffer_destroy(sealed);
  sandwire_buffer_destroy(other);
  sandwire_buffer_destroy(buffer);
  sandwire_buffer_destroy(NULL);

  CHECK(!sandwire_buffer_create(0) && errno == EINVAL);
  CHECK(!sandwire_buffer_create(SIZE_MAX) && errno == EINVAL);
  CHECK(!sandwire_buffer_from_fd(-1) && errno == EBADF);
  int unsealed = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(unsealed >= 0 && ftruncate(unsealed, 4096) == 0);
  CHECK(!sandwire_buffer_from_fd(unsealed) && errno == EPERM);
  int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(empty >= 0 && fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
  CHECK(!sandwire_buffer_from_fd(empty) && errno == EINVAL);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  CHECK(!sandwire_buffer_from_fd(null) && errno == EINVAL);
  /* Sealed against writing as well: it cannot be mapped writable. */
  int frozen = memfd_create("frozen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(frozen >= 0 && ftruncate(frozen, 4096) == 0);
  REQUIRE(fcntl(frozen, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE) == 0);
  CHECK(!sandwire_buffer_from_fd(frozen) && errno == EPERM);
  close(frozen);
  int huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
  if (huge >= 0 && ftruncate(huge, 2 << 20) == 0 && fcntl(huge, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
    CHECK(!sandwire_buffer_from_fd(huge) && errno == EOPNOTSUPP);
    close(huge);
  }
  close(null);
  close(empty);
  close(unsealed);
  return report_checks();
}
