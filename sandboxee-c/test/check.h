/* Counts checks that pass and that fail, and goes on. */
#ifndef SANDWIRE_TEST_CHECK_H
#define SANDWIRE_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned checks_passed, checks_failed;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (condition) {                                                          \
      checks_passed++;                                                        \
    } else {                                                                  \
      checks_failed++;                                                        \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                         \
  } while (0)

#define CHECK_EQUAL(expected, met)                                                                       \
  do {                                                                                                   \
    long long check_expected = (long long)(expected), check_met = (long long)(met);                      \
    if (check_expected == check_met) {                                                                   \
      checks_passed++;                                                                                   \
    } else {                                                                                             \
      checks_failed++;                                                                                   \
      fprintf(stderr, "%s:%d: failed: %s is %lld, expected %lld\n", __FILE__, __LINE__, #met, check_met, \
              check_expected);                                                                           \
    }                                                                                                    \
  } while (0)

static inline int report_checks(void) {
  printf("%u passed, %u failed\n", checks_passed, checks_failed);
  return checks_failed ? 1 : 0;
}

/* A condition without which the test cannot go on. */
#define REQUIRE(condition)                                                          \
  do {                                                                              \
    if (!(condition)) {                                                             \
      fprintf(stderr, "%s:%d: cannot go on: %s\n", __FILE__, __LINE__, #condition); \
      exit(2);                                                                      \
    }                                                                               \
  } while (0)

static inline void make_pair(int pair[2]) {
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

#endif
