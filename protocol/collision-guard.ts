// A guard against keys that were chosen to collide. V8 mixes a secret into the hashes of most strings. It does not for
// numbers, BigInts (only their lowest 64 bits count), strings of digits, and strings of more than 16,383 characters
// (their hash is their length). Whoever knows that can make each insertion into a Map search through all existing
// entries. The hashes themselves are V8's business and may change, so the guard measures what insertions cost.

/** Microseconds so far: of CPU time, in this thread if that can be measured, and of wall-clock time. */
export interface Spent {
  readonly cpuUs: number;
  readonly wallUs: number;
}
export type Clock = () => Spent;

/** Fewer insertions than this cost little whatever their keys are, unless the keys are large. */
const watchedFrom = 256;
const watchedFromBytes = 1 << 20;

/** Longer property names are rare enough to be counted together. Names with the same hash are far longer. */
const longName = 1024;

/** How often the clock is read: after this many insertions, or about this many bytes of keys. */
const stride = 1024;
const strideBytes = 1 << 22;

// The time that is allowed. An honest insertion takes some 0.1 µs, and hashing a key takes about 1 ns a byte.
const grantedUs = 250_000;
const grantedUsPerInsertion = 1;
const grantedUsPerByte = 0.002;

/** True if this many keys of this many bytes are worth reading the clock. */
const isMuch = (count: number, size: number): boolean => count >= watchedFrom || size >= watchedFromBytes;

export class CollisionGuard {
  readonly #clock: Clock;
  #grantedUs: number;
  /** Bytes of names in all objects so far that have a long name. */
  #longNameBytes = 0;

  /** A guard for the insertions of one message of this size. */
  constructor(clock: Clock, messageSize: number) {
    this.#clock = clock;
    this.#grantedUs = grantedUs + messageSize * grantedUsPerByte;
  }

  /**
   * Calls insert with 0 … count - 1, for keys and values that came in size bytes. Returns false as soon as the
   * insertions have cost more than those of honest keys do.
   */
  insertAll(count: number, size: number, insert: (index: number) => void): boolean {
    if (isMuch(count, size)) return this.#insertWatched(count, size, insert);
    for (let i = 0; i < count; i++) insert(i);
    return true;
  }

  /**
   * The same for the names of an object's properties. V8 keeps the names of all objects in one table, so long names
   * count together. For a few names insert is not called, because that would only cost time.
   */
  insertNames(names: readonly string[], size: number, insert: (name: string) => void): boolean {
    const areLong = names.some(({ length }) => length > longName);
    if (areLong) this.#longNameBytes += size;
    if (!isMuch(names.length, areLong ? this.#longNameBytes : size)) return true;
    return this.#insertWatched(names.length, size, (i) => insert(names[i] as string));
  }

  #insertWatched(count: number, size: number, insert: (index: number) => void): boolean {
    const step = Math.max(1, Math.min(stride, Math.floor((strideBytes * count) / size)));
    let before = this.#clock();
    for (let from = 0; from < count; from += step) {
      const to = Math.min(from + step, count);
      for (let i = from; i < to; i++) insert(i);
      // Load on the machine increases wall time; busy threads of this process may increase CPU time. The smaller one
      // counts.
      const after = this.#clock();
      const spentUs = Math.min(after.cpuUs - before.cpuUs, after.wallUs - before.wallUs);
      this.#grantedUs += (to - from) * grantedUsPerInsertion - spentUs;
      if (this.#grantedUs < 0) return false;
      before = after;
    }
    return true;
  }
}
