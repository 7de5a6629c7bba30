// Receives from a stream of messages, but never beyond the end of the current message.
import type { ReceiveCall } from '../protocol/index.js';
import { WireLimit } from '../protocol/wire.generated.js';

/**
 * Knows how far the current message has been received. The length that a sandboxee announces is used until the end of
 * that message and no longer.
 */
export class MessageBoundary {
  readonly #header = new Uint8Array(WireLimit.HEADER_SIZE);
  readonly #view = new DataView(this.#header.buffer);
  /** Bytes of the header that have come. */
  #have = 0;
  /** Bytes of the payload that are still to come. */
  #left = 0n;

  /** Receives like `receive`, which it calls for the header and for the payload; only the first call waits. */
  take(call: ReceiveCall, receive: (part: ReceiveCall) => number): number {
    const { into, offset, length, fds, wait } = call;
    const part = { ...call };
    let got = 0;
    while (got < length) {
      part.offset = offset + got;
      part.length = this.#wanted(length - got);
      part.wait = wait && got === 0;
      const count = receive(part);
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
