/* What a seccomp program returns for a call: the kernel's own computation, repeated. A notification has the
 * call and not the value that led to it, so the supervisor computes the value again; it depends on the call
 * alone. Touches nothing but its arguments. */
#ifndef SUPERVISOR_FILTER_EVALUATION_H
#define SUPERVISOR_FILTER_EVALUATION_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* SECCOMP_RET_… with its data. SECCOMP_RET_KILL_THREAD, which is 0, for a program the kernel would not take.
 */
uint32_t filter_evaluate(const struct sock_filter *program, size_t count, const struct seccomp_data *data);

#endif
