// Conditions on the arguments of a syscall, as data, and their meaning. compile-condition.ts turns them into BPF.

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=';

export type Condition =
  | { readonly kind: 'always' }
  /** Compares one argument, or the bits of it that the mask selects, with a value; unsigned. */
  | {
      readonly kind: 'compare';
      readonly arg: number;
      /** How many bits of the argument count: the kernel ignores the upper half of an int. */
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
  /** At least one of these bits is set. */
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

/** True if the condition holds for these six arguments. */
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

/** Values by argument index; other arguments may be anything. */
export type KnownArguments = ReadonlyMap<number, bigint>;

/** undefined: it depends on arguments that are not known. */
export function mayHold(condition: Condition, known: KnownArguments): boolean | undefined {
  switch (condition.kind) {
    case 'always':
      return true;
    case 'not': {
      const part = mayHold(condition.of, known);
      return part === undefined ? undefined : !part;
    }
    case 'all':
    case 'any': {
      const parts = condition.of.map((part) => mayHold(part, known));
      const deciding = condition.kind === 'any';
      if (parts.includes(deciding)) return deciding;
      return parts.includes(undefined) ? undefined : !deciding;
    }
    default: {
      const value = known.get(condition.arg);
      if (value === undefined) return undefined;
      return holds(
        condition,
        Array.from({ length: 6 }, () => value),
      );
    }
  }
}

/** The possible values of those arguments that the condition compares with a list. */
function pinned(condition: Condition): ReadonlyMap<number, readonly bigint[]> {
  if (condition.kind === 'all') return new Map(condition.of.flatMap((part) => [...pinned(part)]));
  if (condition.kind === 'in' && condition.mask === undefined)
    return new Map([[condition.arg, condition.values]]);
  if (condition.kind === 'compare' && condition.op === '==' && condition.mask === undefined)
    return new Map([[condition.arg, [condition.value]]]);
  return new Map();
}

/** The most combinations of values that are tried. */
const maxPairs = 4096;

/** True if both may hold for the same call, or if that is not known. other compares 32 bits of each argument. */
export function mayOverlap(one: Condition, other: Condition): boolean {
  if (one.kind === 'any') return one.of.some((part) => mayOverlap(part, other));
  let known: readonly KnownArguments[] = [new Map()];
  for (const [arg, values] of pinned(one)) {
    if (known.length * values.length > maxPairs) continue;
    known = known.flatMap((others) => values.map((value) => new Map([...others, [arg, value]])));
  }
  return known.some((each) => mayHold(other, each) !== false);
}

/** More comparisons in one rule are a mistake, and would not fit into a filter anyway. */
export const maxComparisons = 2000;

/** How many comparisons the condition consists of. */
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

/** The name of a value that an argument is compared with: "AF_UNIX". asBits: the value is a mask. */
export type ValueNaming = (argument: number, value: bigint, asBits: boolean) => string | undefined;

/** The condition as text for people: "arg 0 is 1 or 2", "arg 2 & 0x4 is not 0". */
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

/** A text that is equal for conditions that are written the same. */
export function conditionKey(condition: Condition): string {
  const present = keys.get(condition);
  if (present !== undefined) return present;
  const key = JSON.stringify(condition, (_name, value: unknown) =>
    typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
  );
  keys.set(condition, key);
  return key;
}

const comparisons: ReadonlySet<unknown> = new Set<Comparison>(['==', '!=', '<', '<=', '>', '>=']);

function isComparison(value: unknown): value is Comparison {
  return comparisons.has(value);
}

function isValue(value: unknown, bits: 32 | 64): value is bigint {
  return typeof value === 'bigint' && value >= 0n && value < 1n << BigInt(bits);
}

/** Deeper nesting is a mistake. */
export const maxNesting = 50;

/**
 * A copy of a condition that a caller has made, so that the checked condition is the one that is built. undefined if it
 * is not a condition. Throws RangeError if it is nested too deeply.
 */
export function copyCondition(something: unknown, depth = 1): Condition | undefined {
  if (typeof something !== 'object' || something === null) return undefined;
  if (depth > maxNesting) throw new RangeError(`conditions are nested at most ${maxNesting} deep`);
  const { kind, of, arg, bits, mask, value, values, op } = something as Record<string, unknown>;
  switch (kind) {
    case 'all':
    case 'any': {
      if (!Array.isArray(of)) return undefined;
      const parts = of.map((part) => copyCondition(part, depth + 1));
      return parts.every((part) => part !== undefined) ? { kind, of: parts } : undefined;
    }
    case 'not': {
      const part = copyCondition(of, depth + 1);
      return part === undefined ? undefined : { kind, of: part };
    }
    case 'compare':
    case 'in':
    case 'anyBit': {
      if (typeof arg !== 'number' || !Number.isInteger(arg) || arg < 0 || arg > 5) return undefined;
      if (bits !== 32 && bits !== 64) return undefined;
      if (kind === 'anyBit') {
        return mask === undefined && isValue(value, bits) ? { kind, arg, bits, value } : undefined;
      }
      if (mask !== undefined && !isValue(mask, bits)) return undefined;
      const subject = { arg, bits, ...(mask === undefined ? {} : { mask }) } as const;
      if (kind === 'compare') {
        return isValue(value, bits) && isComparison(op) ? { kind, ...subject, op, value } : undefined;
      }
      if (!Array.isArray(values)) return undefined;
      const list: unknown[] = [...values];
      return list.every((one) => isValue(one, bits)) ? { kind, ...subject, values: list } : undefined;
    }
    default:
      return undefined;
  }
}

/** Checks the condition of a rule. Throws RangeError if it has no effect, is too large, or can never hold. */
export function checkCondition(condition: Condition): void {
  checkSense(condition, 1);
  const size = sizeOf(condition);
  if (size > maxComparisons) {
    throw new RangeError(`${size} comparisons in one rule; at most ${maxComparisons} are allowed`);
  }
}

function checkSense(condition: Condition, depth: number): void {
  if (depth > maxNesting) throw new RangeError(`conditions are nested at most ${maxNesting} deep`);
  switch (condition.kind) {
    case 'always':
      throw new RangeError('the condition always holds: leave it out');
    case 'all':
    case 'any':
      if (condition.of.length === 0) throw new RangeError('a list of conditions needs at least one');
      for (const part of condition.of) checkSense(part, depth + 1);
      return;
    case 'not':
      checkSense(condition.of, depth + 1);
      return;
    case 'in':
      if (condition.values.length === 0) throw new RangeError('at least one value is needed');
      for (const value of condition.values) checkReach(condition, value);
      return;
    case 'compare':
      if (condition.op === '==' || condition.op === '!=') checkReach(condition, condition.value);
      return;
    case 'anyBit':
  }
}

/** A value that no masked argument can have is a mistake. */
function checkReach({ arg, mask }: { readonly arg: number; readonly mask?: bigint }, value: bigint): void {
  if (mask === undefined || (value & ~mask) === 0n) return;
  throw new RangeError(`arg(${arg}) & ${numberText(mask)} is never ${numberText(value)}`);
}
