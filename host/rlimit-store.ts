// The values of rlimits, as the methods of Limits set them.
import { type LimitValues, rlimits } from './rlimits.generated.js';

type RlimitName = keyof LimitValues;
type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** JavaScript's bit operators work on 32 bits. */
export const shiftHint = (unit: string) =>
  unit === 'bytes' ? ' (4 << 30 is 0 in JavaScript: write 4 * 2 ** 30)' : '';

/** Throws RangeError unless the value is a whole number from 0 on. */
export function toLimit(method: string, value: number | bigint, unit: string): bigint {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) {
    throw new RangeError(`Limits.${method}: a whole number of ${unit} is needed, not ${value}`);
  }
  if (value < 0) throw new RangeError(`Limits.${method}: ${value} ${unit} is negative${shiftHint(unit)}`);
  return BigInt(value);
}

export class RlimitStore {
  readonly #values: Writable<LimitValues> = {};
  #isSealed = false;

  constructor() {
    for (const name of Object.keys(rlimits) as RlimitName[]) {
      const { byDefault } = rlimits[name];
      if (byDefault !== undefined) this.#values[name] = byDefault;
    }
  }

  get values(): LimitValues {
    return { ...this.#values };
  }

  /** From now on setting a limit is an error, because it would have no effect. */
  seal(): void {
    this.#isSealed = true;
  }

  /** Throws Error once it is sealed. */
  checkOpen(method: string): void {
    if (!this.#isSealed) return;
    const hint =
      method === 'setWalltimeLimitMs' ? '; sandbox.setWalltimeLimitMs() changes it, counted from now' : '';
    throw new Error(`Limits.${method}: the program has been started already${hint}`);
  }

  /** Throws RangeError for a value that the limit cannot have. */
  set(name: RlimitName, value: number | bigint): void {
    const { method, unit, least, tooFew } = rlimits[name];
    const limit = toLimit(method, value, unit);
    if (limit < least) {
      const hint = limit === 0n ? shiftHint(unit) : '';
      throw new RangeError(`Limits.${method}: ${limit} ${unit} are too few${tooFew}${hint}`);
    }
    this.checkOpen(method);
    this.#values[name] = limit;
  }
}
