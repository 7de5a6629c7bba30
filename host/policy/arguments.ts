// Conditions as expressions: (arg) => arg(0).in(AF_UNIX, AF_INET).
import type { Comparison, Condition } from './conditions.js';
import { shown } from './quoting.js';
import { type ArgumentKind, argumentKinds } from './tables/arguments.js';

/** A value that an argument is compared with. Negative values are taken as two's complement: -1 is all bits. */
export type ArgumentValue = number | bigint;

const wide: ReadonlySet<ArgumentKind> = new Set(['size', 'pointer', 'path', 'address', 'long']);

/** How many bits of an argument the kernel uses; undefined if the tables do not know the syscall. */
export function argumentBits(syscall: string, index: number): 32 | 64 | undefined {
  const kind = argumentKinds.get(syscall)?.[index];
  return kind === undefined ? undefined : wide.has(kind) ? 64 : 32;
}

/** The kernel's umode_t: of the mode in chmod() and similar calls the kernel uses 16 bits and ignores the rest. */
const permissionBits = 0xffffn;

/**
 * One argument of a syscall. An int (a descriptor, flags …) is compared by its lower 32 bits, because the kernel
 * ignores the others; permissions (chmod, mkdir, open …) by 16; a long, a size or an address by all 64. Comparisons are
 * unsigned. Throws RangeError for a value that does not fit.
 */
export class Argument {
  readonly #index: number;
  readonly #bits: 32 | 64 | undefined;
  readonly #mask: bigint | undefined;
  /** True if the mask comes from the tables. */
  readonly #isOfTables: boolean;
  readonly #syscall: string;

  constructor(syscall: string, index: number, bits: 32 | 64 | undefined, mask?: bigint, isOfTables = false) {
    this.#syscall = syscall;
    this.#index = index;
    this.#bits = bits;
    this.#mask = mask;
    this.#isOfTables = isOfTables;
  }

  /** The lower 32 bits, whatever the tables say. */
  get u32(): Argument {
    const mask = this.#isOfTables ? undefined : this.#mask;
    if (mask !== undefined && mask >= 1n << 32n) {
      throw new RangeError(`the mask 0x${mask.toString(16)} does not fit into 32 bits: write .u32 before it`);
    }
    return new Argument(this.#syscall, this.#index, 32, mask);
  }

  /** All 64 bits, whatever the tables say. */
  get u64(): Argument {
    return new Argument(this.#syscall, this.#index, 64, this.#isOfTables ? undefined : this.#mask);
  }

  /** Only these bits of the argument: arg(1).mask(0x7f).eq(0). */
  mask(bits: ArgumentValue): Argument {
    return new Argument(this.#syscall, this.#index, this.#bits, this.#masked(this.#value(bits)));
  }

  eq(value: ArgumentValue): Condition {
    return this.#compare('==', value);
  }

  ne(value: ArgumentValue): Condition {
    return this.#compare('!=', value);
  }

  lt(value: ArgumentValue): Condition {
    return this.#compare('<', value);
  }

  le(value: ArgumentValue): Condition {
    return this.#compare('<=', value);
  }

  gt(value: ArgumentValue): Condition {
    return this.#compare('>', value);
  }

  ge(value: ArgumentValue): Condition {
    return this.#compare('>=', value);
  }

  /** The argument is one of these values. */
  in(...values: ArgumentValue[]): Condition {
    if (values.length === 0) throw new RangeError('in() needs at least one value');
    const list = [...new Set(values.map((value) => this.#value(value)))];
    return { kind: 'in', ...this.#subject(), values: list };
  }

  /** The argument is none of these values. */
  notIn(...values: ArgumentValue[]): Condition {
    return { kind: 'not', of: this.in(...values) };
  }

  /** The argument is from first to last, both included. */
  between(first: ArgumentValue, last: ArgumentValue): Condition {
    return { kind: 'all', of: [this.ge(first), this.le(last)] };
  }

  /** At least one of these bits is set. */
  hasAny(bits: ArgumentValue): Condition {
    const value = this.#value(bits);
    if (this.#masked(value) !== value) {
      throw new RangeError(`not all bits of 0x${value.toString(16)} are in the mask`);
    }
    return this.#anyBit(value);
  }

  /** None of these bits is set. */
  hasNone(bits: ArgumentValue): Condition {
    return { kind: 'not', of: this.hasAny(bits) };
  }

  /** All of these bits are set, whatever the others are. */
  hasAll(bits: ArgumentValue): Condition {
    return this.mask(bits).eq(bits);
  }

  /** No other bit than these is set. */
  hasOnly(bits: ArgumentValue): Condition {
    return { kind: 'not', of: this.#anyBit(BigInt.asUintN(this.#width(), ~this.#value(bits))) };
  }

  #masked(value: bigint): bigint {
    return this.#mask === undefined ? value : value & this.#mask;
  }

  #anyBit(value: bigint): Condition {
    return { kind: 'anyBit', arg: this.#index, bits: this.#width(), value: this.#masked(value) };
  }

  #width(): 32 | 64 {
    if (this.#bits === undefined) {
      const self = `arg(${this.#index})`;
      throw new RangeError(
        `the tables do not say whether ${self} of ${this.#syscall} has 32 or 64 bits: write ${self}.u32 or ${self}.u64`,
      );
    }
    return this.#bits;
  }

  #value(value: ArgumentValue): bigint {
    const bits = this.#width();
    if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) {
      throw new RangeError(`${shown(value)} is not a whole number; use a bigint above 2**53`);
    }
    const whole = BigInt(value);
    if (whole < -(1n << BigInt(bits - 1)) || whole >= 1n << BigInt(bits)) {
      throw new RangeError(`${whole} does not fit into the ${bits} bits of arg(${this.#index})`);
    }
    return BigInt.asUintN(bits, whole);
  }

  #subject() {
    const mask = this.#mask === undefined ? {} : { mask: this.#mask };
    return { arg: this.#index, bits: this.#width(), ...mask };
  }

  #compare(op: Comparison, value: ArgumentValue): Condition {
    const isOrder = op !== '==' && op !== '!=';
    if (isOrder && value < 0) throw new RangeError(`comparisons are unsigned, and ${value} is negative`);
    return { kind: 'compare', ...this.#subject(), op, value: this.#value(value) };
  }
}

/** Conditions are written with it: arg(0) is the first argument. */
export type ArgumentOf = (index: number) => Argument;

export function argumentsOf(syscall: string): ArgumentOf {
  return (index) => {
    if (!Number.isInteger(index) || index < 0 || index > 5) {
      throw new RangeError(`a syscall has the arguments 0 to 5, not ${shown(index)}`);
    }
    const isPermissions = argumentKinds.get(syscall)?.[index] === 'permissions';
    const mask = isPermissions ? permissionBits : undefined;
    return new Argument(syscall, index, argumentBits(syscall, index), mask, isPermissions);
  };
}

/** Holds if all conditions hold. Throws RangeError without any. */
export function allOf(...conditions: Condition[]): Condition {
  if (conditions.length === 0) throw new RangeError('allOf() needs at least one condition');
  return { kind: 'all', of: conditions };
}

/** Holds if at least one condition holds. Throws RangeError without any. */
export function anyOf(...conditions: Condition[]): Condition {
  if (conditions.length === 0) throw new RangeError('anyOf() needs at least one condition');
  return { kind: 'any', of: conditions };
}

export function not(condition: Condition): Condition {
  return { kind: 'not', of: condition };
}
