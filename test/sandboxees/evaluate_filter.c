/* evaluate_filter: not a sandboxee, but the supervisor's evaluation of filters, for a test to compare.
 * Standard input is { u32 count; struct sock_filter[count] } and then any number of struct seccomp_data.
 * Prints one value a line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../native/supervisor/run/filter_evaluation.h"

int main(void) {
  uint32_t count;
  if (fread(&count, sizeof count, 1, stdin) != 1 || count > 4096) {
    return 2;
  }
  struct sock_filter *program = calloc(count + 1, sizeof *program);
  if (program == NULL || fread(program, sizeof *program, count, stdin) != count) {
    return 2;
  }
  struct seccomp_data data;
  while (fread(&data, sizeof data, 1, stdin) == 1) {
    printf("%" PRIu32 "\n", filter_evaluate(program, count, &data));
  }
  return 0;
}
