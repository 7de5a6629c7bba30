/* Registers by their DWARF numbers: the ABI supplements of x86-64 (figure 3.36) and of aarch64 (AADWARF64).
 */
#ifndef UNWINDER_REGISTERS_H
#define UNWINDER_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "request.h"

enum {
#if defined(__x86_64__)
  REGISTER_COUNT = 17, /* 16 is the column of the return address */
  REGISTER_FRAME = 6,
  REGISTER_STACK = 7,
#else
  REGISTER_COUNT = 33,
  REGISTER_FRAME = 29,
  REGISTER_LINK = 30,
  REGISTER_STACK = 31,
#endif
};

struct registers {
  uint64_t pc;
  uint64_t value[REGISTER_COUNT];
  bool known[REGISTER_COUNT];
};

/* Converts the registers that the kernel returns. */
static inline void registers_load(struct registers *into, const unwind_registers *from) {
  for (int i = 0; i < REGISTER_COUNT; i++) {
    into->known[i] = true;
  }
#if defined(__x86_64__)
  const uint64_t values[REGISTER_COUNT] = {from->rax, from->rdx, from->rcx, from->rbx, from->rsi, from->rdi,
                                           from->rbp, from->rsp, from->r8,  from->r9,  from->r10, from->r11,
                                           from->r12, from->r13, from->r14, from->r15, 0};
  for (int i = 0; i < REGISTER_COUNT; i++) {
    into->value[i] = values[i];
  }
  into->known[16] = false;
  into->pc = from->rip;
#else
  for (int i = 0; i < 31; i++) {
    into->value[i] = from->regs[i];
  }
  into->value[REGISTER_STACK] = from->sp;
  into->value[32] = 0;
  into->known[32] = false;
  into->pc = from->pc;
#endif
}

/* A return address without its signature: in memory its upper bits may be signed (pointer authentication of
 * aarch64). */
static inline uint64_t plain_address(uint64_t address) {
#if defined(__aarch64__)
  return address & ((UINT64_C(1) << 48) - 1);
#else
  return address;
#endif
}

#endif
