/* run_phases: no sandboxee, but the supervisor's phases of a run and the transitions between them, for a test
 * to compare. Prints a line "phase NAME" for each phase, and a line "from NAME > NAME" for each transition.
 */
#include <stdio.h>

#include "../../native/supervisor/run/run_phase.h"

int main(void) {
  for (int phase = 0; phase < RUN_PHASES; phase++) {
    printf("phase %s%s\n", run_phase_name((enum run_phase)phase),
           run_phase_is_open((enum run_phase)phase) ? " (open)" : "");
  }
  /* By the question that the supervisor asks, not by the table that answers it. */
  for (int from = 0; from < RUN_PHASES; from++) {
    for (int to = 0; to < RUN_PHASES; to++) {
      if (run_phase_may_follow((enum run_phase)to, (enum run_phase)from)) {
        printf("from %s > %s\n", run_phase_name((enum run_phase)from), run_phase_name((enum run_phase)to));
      }
    }
  }
  return 0;
}
