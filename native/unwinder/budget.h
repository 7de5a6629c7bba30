/* How long all of it may take. The supervisor kills what takes longer; this leaves time to tell what there
 * is. */
#ifndef UNWINDER_BUDGET_H
#define UNWINDER_BUDGET_H

#include <stdbool.h>

void budget_begin(unsigned milliseconds);
bool budget_is_used_up(void);

#endif
