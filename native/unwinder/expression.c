#include "expression.h"

#include <stddef.h>

#include "bytes.h"
#include "target.h"

enum { STACK_SIZE = 64, MAX_OPERATIONS = 1024 };

struct machine {
  uint64_t stack[STACK_SIZE];
  size_t depth;
  bool failed;
};

static void push(struct machine *machine, uint64_t value) {
  if (machine->depth == STACK_SIZE) {
    machine->failed = true;
  } else {
    machine->stack[machine->depth++] = value;
  }
}

static uint64_t pop(struct machine *machine) {
  if (machine->depth == 0) {
    machine->failed = true;
    return 0;
  }
  return machine->stack[--machine->depth];
}

static void copy(struct machine *machine, size_t from_top) {
  if (from_top >= machine->depth) {
    machine->failed = true;
  } else {
    push(machine, machine->stack[machine->depth - 1 - from_top]);
  }
}

static void push_register(struct machine *machine, const struct registers *registers, uint64_t number,
                          int64_t offset) {
  if (number >= REGISTER_COUNT || !registers->known[number]) {
    machine->failed = true;
  } else {
    push(machine, registers->value[number] + (uint64_t)offset);
  }
}

static void dereference(struct machine *machine, unsigned size) {
  uint64_t value = 0;
  const uint64_t address = pop(machine);
  if ((size != 1 && size != 2 && size != 4 && size != 8) || !target_read(address, &value, size)) {
    machine->failed = true;
  }
  push(machine, value);
}

/* Operations with two operands; false: not one of them. */
static bool binary(struct machine *machine, unsigned operation) {
  if (!((operation >= 0x1a && operation <= 0x1e) ||
        (operation >= 0x21 && operation <= 0x27 && operation != 0x23) ||
        (operation >= 0x29 && operation <= 0x2e))) {
    return false;
  }
  const uint64_t b = pop(machine), a = pop(machine);
  const int64_t signed_a = (int64_t)a, signed_b = (int64_t)b;
  uint64_t value = 0;
  switch (operation) {
    case 0x1a:
      value = a & b;
      break;
    case 0x1b: /* signed division: INT64_MIN / -1 traps */
      if (signed_b == 0 || signed_b == -1) {
        value = signed_b == 0 ? 0 : 0 - a;
      } else {
        value = (uint64_t)(signed_a / signed_b);
      }
      break;
    case 0x1c:
      value = a - b;
      break;
    case 0x1d:
      value = b == 0 ? 0 : a % b;
      break;
    case 0x1e:
      value = a * b;
      break;
    case 0x21:
      value = a | b;
      break;
    case 0x22:
      value = a + b;
      break;
    case 0x24:
      value = b < 64 ? a << b : 0;
      break;
    case 0x25:
      value = b < 64 ? a >> b : 0;
      break;
    case 0x26:
      value = (uint64_t)(signed_a >> (b < 64 ? b : 63));
      break;
    case 0x27:
      value = a ^ b;
      break;
    case 0x29:
      value = signed_a == signed_b;
      break;
    case 0x2a:
      value = signed_a >= signed_b;
      break;
    case 0x2b:
      value = signed_a > signed_b;
      break;
    case 0x2c:
      value = signed_a <= signed_b;
      break;
    case 0x2d:
      value = signed_a < signed_b;
      break;
    default:
      value = signed_a != signed_b;
      break;
  }
  push(machine, value);
  return true;
}

static void constant(struct machine *machine, struct bytes *program, unsigned operation) {
  const unsigned size = 1u << ((operation - 0x08) / 2);
  push(machine, operation % 2 == 0 ? bytes_unsigned(program, size) : (uint64_t)bytes_signed(program, size));
}

static void jump(struct machine *machine, struct bytes *program, const struct bytes *whole, bool only_if) {
  const int64_t distance = bytes_signed(program, 2);
  if (only_if && pop(machine) == 0) {
    return;
  }
  const uint64_t target = program->at + (uint64_t)distance;
  if (target < whole->at || target > whole->end) {
    machine->failed = true;
  } else {
    program->at = target;
  }
}

static void one(struct machine *machine, struct bytes *program, const struct bytes *whole,
                const struct registers *registers) {
  const unsigned operation = (unsigned)bytes_unsigned(program, 1);
  if (operation >= 0x30 && operation <= 0x4f) { /* lit0 … lit31 */
    push(machine, operation - 0x30);
  } else if (operation >= 0x70 && operation <= 0x8f) { /* breg0 … breg31 */
    push_register(machine, registers, operation - 0x70, bytes_sleb(program));
  } else if (operation >= 0x08 && operation <= 0x0f) {
    constant(machine, program, operation);
  } else if (!binary(machine, operation)) {
    uint64_t a, b, c;
    switch (operation) {
      case 0x03:
        push(machine, bytes_unsigned(program, 8));
        break; /* addr */
      case 0x06:
        dereference(machine, 8);
        break;
      case 0x10:
        push(machine, bytes_uleb(program));
        break;
      case 0x11:
        push(machine, (uint64_t)bytes_sleb(program));
        break;
      case 0x12:
        copy(machine, 0);
        break; /* dup */
      case 0x13:
        (void)pop(machine);
        break; /* drop */
      case 0x14:
        copy(machine, 1);
        break; /* over */
      case 0x15:
        copy(machine, bytes_unsigned(program, 1));
        break;   /* pick */
      case 0x16: /* swap */
        a = pop(machine), b = pop(machine);
        push(machine, a), push(machine, b);
        break;
      case 0x17: /* rot */
        a = pop(machine), b = pop(machine), c = pop(machine);
        push(machine, a), push(machine, c), push(machine, b);
        break;
      case 0x19: /* abs */
        a = pop(machine);
        push(machine, (int64_t)a < 0 ? 0 - a : a);
        break;
      case 0x1f:
        push(machine, 0 - pop(machine));
        break; /* neg */
      case 0x20:
        push(machine, ~pop(machine));
        break; /* not */
      case 0x23:
        push(machine, pop(machine) + bytes_uleb(program));
        break; /* plus_uconst */
      case 0x28:
        jump(machine, program, whole, true);
        break; /* bra */
      case 0x2f:
        jump(machine, program, whole, false);
        break;   /* skip */
      case 0x92: /* bregx */
        a = bytes_uleb(program);
        push_register(machine, registers, a, bytes_sleb(program));
        break;
      case 0x94:
        dereference(machine, (unsigned)bytes_unsigned(program, 1));
        break;
      case 0x96:
        break; /* nop */
      default:
        machine->failed = true;
        break;
    }
  }
}

bool expression_evaluate(uint64_t address, uint64_t size, const struct registers *registers,
                         const uint64_t *initial, uint64_t *result) {
  if (size > UINT64_MAX - address) {
    return false;
  }
  struct machine machine = {.depth = 0};
  const struct bytes whole = {.at = address, .end = address + size};
  struct bytes program = whole;
  if (initial != NULL) {
    push(&machine, *initial);
  }
  for (int operations = 0; program.at < program.end; operations++) {
    if (operations == MAX_OPERATIONS) {
      return false;
    }
    one(&machine, &program, &whole, registers);
    if (machine.failed || program.failed) {
      return false;
    }
  }
  *result = pop(&machine);
  return !machine.failed;
}
