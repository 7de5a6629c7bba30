// Against keys that were chosen to collide. V8 mixes a secret into the hashes of most strings, but not into those of
// numbers, BigInts (of which only the lowest 64 bits count), strings of digits, and strings of more than 16,383 characters
// (their hash is their length): whoever knows that can make each insertion into a Map look at all that is there. What the
// hashes are is V8's business and changes with it, so what is watched here is what insertions cost.

/** Microseconds so far: of the processor's work, in this thread if that can be told, and by the clock on the wall. */
export interface Spent {
  readonly cpuUs: number;
  readonly wallUs: number;
}
export type Clock = () => Spent;

/** As many insertions as this cost little whatever their keys, unless these are large. */
const watchedFrom = 256;
const watchedFromBytes = 1 << 20;

/** Names longer than this, of properties, are rare enough to be watched all together; those of one hash are far longer. */
const longName = 1024;

/** How often the clock is looked at: after so many insertions, or about so many bytes of keys. */
const stride = 1024;
const strideBytes = 1 << 22;

// What is granted. An honest insertion takes some 0.1 µs, and a key is hashed at about 1 ns a byte.
const grantedUs = 250_000;
const grantedUsPerInsertion = 1;
const grantedUsPerByte = 0.002;

/** Whether so many keys of so many bytes are worth a look at the clock. */
const isMuch = (count: number, size: number): boolean => count >= watchedFrom || size >= watchedFromBytes;

export class InsertionWatch {
  readonly #clock: Clock;
  #grantedUs: number;
  /** Of all objects so far that have a long name. */
  #longNameBytes = 0;

  /** For the insertions of one message, of so many bytes. */
  constructor(clock: Clock, messageSize: number) {
    this.#clock = clock;
    this.#grantedUs = grantedUs + messageSize * grantedUsPerByte;
  }

  /**
   * Calls insert with 0 … count - 1, for things that came in so many bytes. False as soon as insertions have cost more
   * than those of honest keys do.
   */
  insertAll(count: number, size: number, insert: (index: number) => void): boolean {
    if (isMuch(count, size)) return this.#insertWatched(count, size, insert);
    for (let i = 0; i < count; i++) insert(i);
    return true;
  }

  /**
   * The same for the names of an object's properties. V8 has those of all objects in one table, so that long ones count
   * together. insert is not called for few, where it would only cost time.
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
      // A loaded machine makes the one grow, busy threads of this process may make the other.
      const after = this.#clock();
      const spentUs = Math.min(after.cpuUs - before.cpuUs, after.wallUs - before.wallUs);
      this.#grantedUs += (to - from) * grantedUsPerInsertion - spentUs;
      if (this.#grantedUs < 0) return false;
      before = after;
    }
    return true;
  }
}
