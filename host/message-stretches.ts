// Receives from a stream of messages no further than the end of the one it is at.
import type { Transport } from '../protocol/index.js';
import { WireLimit } from '../protocol/wire.generated.js';

type Receive = Transport['receive'];

/** Where in a message a stream is. What a sandboxee announces is believed for that long and no longer. */
export class Stretches {
  readonly #header = new Uint8Array(WireLimit.HEADER_SIZE);
  readonly #view = new DataView(this.#header.buffer);
  /** Of the header, so far. */
  #have = 0;
  /** Of the payload, still to come. */
  #left = 0n;

  /** As receive, which it calls for the header and for the payload; only the first of them waits. */
  take(
    [into, offset, length, fds, wait, timeoutMs]: Readonly<Parameters<Receive>>,
    receive: Receive,
  ): number {
    let got = 0;
    while (got < length) {
      const wanted = this.#wanted(length - got);
      const count = receive(into, offset + got, wanted, fds, wait && got === 0, timeoutMs);
      if (count <= 0) return got > 0 ? got : count;
      this.#advance(into.subarray(offset + got, offset + got + count));
      got += count;
      if (this.#isAtEnd || fds.length > 0) break;
    }
    if (this.#isAtEnd) this.#have = 0;
    return got;
  }

  #wanted(room: number): number {
    const missing = this.#header.length - this.#have;
    if (missing > 0) return Math.min(room, missing);
    return this.#left < BigInt(room) ? Number(this.#left) : room;
  }

  #advance(bytes: Uint8Array): void {
    if (this.#have === this.#header.length) {
      this.#left -= BigInt(bytes.length);
      return;
    }
    this.#header.set(bytes, this.#have);
    this.#have += bytes.length;
    if (this.#have === this.#header.length) this.#left = this.#view.getBigUint64(4, true);
  }

  get #isAtEnd(): boolean {
    return this.#have === this.#header.length && this.#left === 0n;
  }
}
