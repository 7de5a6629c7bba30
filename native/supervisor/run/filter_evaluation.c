#include "filter_evaluation.h"

#include <stdbool.h>
#include <string.h>

enum { DATA_SIZE = sizeof(struct seccomp_data) };

struct machine {
  uint32_t a, x;
  uint32_t memory[BPF_MEMWORDS];
};

static bool load(const struct sock_filter *step, const struct seccomp_data *data,
                 const struct machine *machine, uint32_t *into) {
  switch (step->code & ~(BPF_LD | BPF_LDX)) {
    case BPF_W | BPF_ABS:
      if (step->k % 4 != 0 || step->k > DATA_SIZE - 4) {
        return false;
      }
      memcpy(into, (const unsigned char *)data + step->k, sizeof(*into));
      return true;
    case BPF_W | BPF_LEN:
      *into = DATA_SIZE;
      return true;
    case BPF_W | BPF_IMM:
      *into = step->k;
      return true;
    case BPF_W | BPF_MEM:
      if (step->k >= BPF_MEMWORDS) {
        return false;
      }
      *into = machine->memory[step->k];
      return true;
    default:
      return false;
  }
}

/* False where the kernel ends the program: dividing by an X of 0 makes it return 0, which kills
 * (bpf_convert_filter() in net/core/filter.c). Of a shift by X only five bits count; larger constants
 * bpf_check_classic() refuses. */
static bool compute(const struct sock_filter *step, struct machine *machine) {
  const bool by_x = BPF_SRC(step->code) == BPF_X;
  const uint32_t operand = by_x ? machine->x : step->k;
  switch (BPF_OP(step->code)) {
    case BPF_ADD:
      machine->a += operand;
      return true;
    case BPF_SUB:
      machine->a -= operand;
      return true;
    case BPF_MUL:
      machine->a *= operand;
      return true;
    case BPF_DIV:
      if (operand == 0) {
        return false;
      }
      machine->a /= operand;
      return true;
    case BPF_AND:
      machine->a &= operand;
      return true;
    case BPF_OR:
      machine->a |= operand;
      return true;
    case BPF_XOR:
      machine->a ^= operand;
      return true;
    case BPF_LSH:
      machine->a <<= operand & 31;
      return true;
    case BPF_RSH:
      machine->a >>= operand & 31;
      return true;
    case BPF_NEG:
      machine->a = 0u - machine->a;
      return true;
    default:
      return false;
  }
}

static bool jumps(const struct sock_filter *step, const struct machine *machine, bool *taken) {
  const uint32_t operand = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
  switch (BPF_OP(step->code)) {
    case BPF_JEQ:
      *taken = machine->a == operand;
      return true;
    case BPF_JGT:
      *taken = machine->a > operand;
      return true;
    case BPF_JGE:
      *taken = machine->a >= operand;
      return true;
    case BPF_JSET:
      *taken = (machine->a & operand) != 0;
      return true;
    default:
      return false;
  }
}

uint32_t filter_evaluate(const struct sock_filter *program, size_t count, const struct seccomp_data *data) {
  struct machine machine;
  memset(&machine, 0, sizeof(machine));
  /* Jumps only lead forward, so this ends. */
  for (size_t at = 0; at < count; at++) {
    const struct sock_filter *step = &program[at];
    bool ok = true, taken = false;
    switch (BPF_CLASS(step->code)) {
      case BPF_LD:
        ok = load(step, data, &machine, &machine.a);
        break;
      case BPF_LDX:
        ok = BPF_MODE(step->code) != BPF_ABS && load(step, data, &machine, &machine.x);
        break;
      case BPF_ST:
      case BPF_STX:
        ok = step->k < BPF_MEMWORDS;
        if (ok) {
          machine.memory[step->k] = BPF_CLASS(step->code) == BPF_ST ? machine.a : machine.x;
        }
        break;
      case BPF_ALU:
        ok = compute(step, &machine);
        break;
      case BPF_JMP:
        if (BPF_OP(step->code) == BPF_JA) {
          at = step->k < count ? at + step->k : count;
        } else if ((ok = jumps(step, &machine, &taken))) {
          at += taken ? step->jt : step->jf;
        }
        break;
      case BPF_RET:
        return BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
      case BPF_MISC:
        ok = BPF_MISCOP(step->code) == BPF_TXA || BPF_MISCOP(step->code) == BPF_TAX;
        if (BPF_MISCOP(step->code) == BPF_TXA) {
          machine.a = machine.x;
        } else {
          machine.x = machine.a;
        }
        break;
    }
    if (!ok) {
      break;
    }
  }
  return SECCOMP_RET_KILL_THREAD;
}
