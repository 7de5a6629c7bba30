/* How long the unwinder may take. The supervisor kills it when it takes longer than a second; this leaves
 * time to send what was found by then. */
#ifndef UNWINDER_BUDGET_H
#define UNWINDER_BUDGET_H

#include <stdbool.h>

void budget_begin(unsigned milliseconds);
bool budget_is_used_up(void);

#endif
