// Conditions on the arguments of a syscall: data, with their meaning. How they become BPF is compile-condition.ts.

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { readonly kind: 'always' }
  /** One argument, or those of its bits that the mask has, against a value; unsigned. */
  | {
      readonly kind: 'compare';
      readonly arg: number;
      /** How much of the argument counts: the kernel ignores the upper half of an int. */
      readonly bits: 32 | 64;
      readonly mask?: bigint;
      readonly op: Comparison;
      readonly value: bigint;
    }
  | {
      readonly kind: 'in';
      readonly arg: number;
      readonly bits: 32 | 64;
      readonly mask?: bigint;
      readonly values: readonly bigint[];
    }
  /** Any of these bits set. */
  | { readonly kind: 'anyBit'; readonly arg: number; readonly bits: 32 | 64; readonly value: bigint }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition };

export const always: Condition = { kind: 'always' };

function compare(op: Comparison, left: bigint, right: bigint): boolean {
  switch (op) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
  }
}

/** Whether it holds for these six arguments. */
export function holds(condition: Condition, args: readonly bigint[]): boolean {
  switch (condition.kind) {
    case 'always':
      return true;
    case 'all':
      return condition.of.every((part) => holds(part, args));
    case 'any':
      return condition.of.some((part) => holds(part, args));
    case 'not':
      return !holds(condition.of, args);
    default: {
      const whole = BigInt.asUintN(condition.bits, args[condition.arg] ?? 0n);
      if (condition.kind === 'anyBit') return (whole & condition.value) !== 0n;
      const value = condition.mask === undefined ? whole : whole & condition.mask;
      if (condition.kind === 'in') return condition.values.includes(value);
      return compare(condition.op, value, condition.value);
    }
  }
}

/** More comparisons in one rule are a slip, and would not fit into a filter anyway. */
export const maxComparisons = 2000;

/** How many comparisons it is made of. */
export function sizeOf(condition: Condition): number {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.reduce((sum, part) => sum + sizeOf(part), 1);
    case 'not':
      return sizeOf(condition.of);
    case 'in':
      return condition.values.length;
    default:
      return 1;
  }
}

function numberText(value: bigint): string {
  return value < 10n ? value.toString() : `0x${value.toString(16)}`;
}

/** The name of a value that an argument is compared with: "AF_UNIX". asBits: it is a mask. */
export type ValueNaming = (argument: number, value: bigint, asBits: boolean) => string | undefined;

/** "arg 0 is 1 or 2", "arg 2 & 0x4 is not 0": for people. */
export function describeCondition(condition: Condition, nameOf: ValueNaming = () => undefined): string {
  const nested = (part: Condition) => {
    const text = describeCondition(part, nameOf);
    return part.kind === 'any' || part.kind === 'all' || part.kind === 'in' ? `(${text})` : text;
  };
  switch (condition.kind) {
    case 'always':
      return 'always';
    case 'all':
      return condition.of.map(nested).join(' and ');
    case 'any':
      return condition.of.map(nested).join(' or ');
    case 'not':
      if (condition.of.kind === 'anyBit') {
        return describeCondition(condition.of, nameOf).replace(/ is not 0$/, ' is 0');
      }
      return `not (${describeCondition(condition.of, nameOf)})`;
    default: {
      const text = (value: bigint) =>
        nameOf(condition.arg, value, condition.kind === 'anyBit') ?? numberText(value);
      if (condition.kind === 'anyBit') {
        const bits = text(condition.value);
        return `arg ${condition.arg} & ${bits.includes('|') ? `(${bits})` : bits} is not 0`;
      }
      const mask = condition.mask === undefined ? '' : ` & ${numberText(condition.mask)}`;
      const subject = `arg ${condition.arg}${mask}`;
      if (condition.kind === 'in') return `${subject} is ${condition.values.map(text).join(' or ')}`;
      return `${subject} ${condition.op} ${text(condition.value)}`;
    }
  }
}

const keys = new WeakMap<Condition, string>();

/** The same text for conditions that are written the same. */
export function conditionKey(condition: Condition): string {
  const present = keys.get(condition);
  if (present !== undefined) return present;
  const key = JSON.stringify(condition, (_name, value: unknown) =>
    typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
  );
  keys.set(condition, key);
  return key;
}

const comparisons: ReadonlySet<unknown> = new Set(['==', '!=', '<', '<=', '>', '>=']);

function isValue(value: unknown, bits: 32 | 64): value is bigint {
  return typeof value === 'bigint' && value >= 0n && value < 1n << BigInt(bits);
}

/** Whether something from outside is a condition, at most maxDepth deep. */
export function isCondition(something: unknown, maxDepth = 50): something is Condition {
  if (typeof something !== 'object' || something === null || maxDepth === 0) return false;
  const { kind, of, arg, bits, mask, value, values, op } = something as Record<string, unknown>;
  switch (kind) {
    case 'always':
      return true;
    case 'all':
    case 'any':
      return Array.isArray(of) && of.every((part) => isCondition(part, maxDepth - 1));
    case 'not':
      return isCondition(of, maxDepth - 1);
    case 'compare':
    case 'in':
    case 'anyBit':
      if (typeof arg !== 'number' || !Number.isInteger(arg) || arg < 0 || arg > 5) return false;
      if (bits !== 32 && bits !== 64) return false;
      if (mask !== undefined && (kind === 'anyBit' || !isValue(mask, bits))) return false;
      if (kind === 'in') return Array.isArray(values) && values.every((one) => isValue(one, bits));
      return isValue(value, bits) && (kind === 'anyBit' || comparisons.has(op));
    default:
      return false;
  }
}
