// Bytes that wait to be sent. Small messages are joined, so that many of them need one send.
import { writeHeader } from './codec.js';
import { unzeroed } from './memory.js';
import { WireLimit } from './wire.generated.js';

const segmentSize = 64 << 10;
/**
 * Payloads up to this size are copied at once, larger ones only if there is room. Of the largest only this much is
 * copied, to go with the header.
 */
export const copiedSize = 4 << 10;

/** Memory that a waiting message takes besides its bytes, mainly for its promise. */
const bytesPerWaiting = 400;

/** A call that waits until its message is sent. */
export interface Waiting {
  /** The call, for errors. */
  readonly operation: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Segment {
  bytes: Uint8Array;
  start: number;
  end: number;
  /** The fd to send with the first byte; -1: none. */
  fd: number;
  /** True if bytes was allocated here; then its size is segmentSize. */
  readonly isOurs: boolean;
  readonly waiting: Waiting[];
}

export class Outbox {
  readonly #segments: Segment[] = [];
  #pending = 0;
  #waiting = 0;
  /** The memory of the first segment. It is always the same, because a transport may keep a reference to it. */
  #home: Uint8Array | undefined;
  #homeIsFree = true;
  /** Memory of another segment that was sent, kept for reuse. */
  #reusable: Uint8Array | undefined;

  /** Bytes not yet sent. */
  get pending(): number {
    return this.#pending;
  }

  /** How much memory of this process the unsent bytes and the waiting calls take, roughly. */
  get held(): number {
    return this.#pending + this.#waiting * bytesPerWaiting;
  }

  /** The first unsent segment. */
  get first(): Segment | undefined {
    return this.#segments[0];
  }

  /** Adds a message. A large payload is not copied entirely and must not change until it is sent. */
  add(tag: number, payload: Uint8Array, fd: number, waiting: Waiting): void {
    this.#pending += WireLimit.HEADER_SIZE + payload.length;
    this.#waiting += 1;
    const needed = WireLimit.HEADER_SIZE + (payload.length <= copiedSize ? payload.length : 0);
    let tail = this.#segments[this.#segments.length - 1];
    const joins = fd < 0 && tail?.isOurs === true && tail.bytes.length - tail.end >= needed;
    if (tail === undefined || !joins) {
      // An Fd message has a segment of its own: it must be one send of exactly its header.
      tail = {
        bytes: fd < 0 ? this.#room() : new Uint8Array(WireLimit.HEADER_SIZE),
        start: 0,
        end: 0,
        fd,
        isOurs: fd < 0,
        waiting: [],
      };
      this.#segments.push(tail);
    }
    writeHeader(tail.bytes, tail.end, tag, payload.length);
    tail.end += WireLimit.HEADER_SIZE;
    const room = tail.bytes.length - tail.end;
    if (payload.length <= room) {
      tail.bytes.set(payload, tail.end);
      tail.end += payload.length;
      tail.waiting.push(waiting);
      return;
    }
    // A header sent alone would wake the other end for nothing, so the beginning of the payload goes with it.
    const copied = Math.min(room, copiedSize);
    tail.bytes.set(payload.subarray(0, copied), tail.end);
    tail.end += copied;
    const rest = payload.subarray(copied);
    this.#segments.push({
      bytes: rest,
      start: 0,
      end: rest.length,
      fd: -1,
      isOurs: false,
      waiting: [waiting],
    });
  }

  /** Notes that the first count bytes of the first segment were sent. */
  sent(count: number): void {
    const segment = this.#segments[0];
    if (segment === undefined) return;
    segment.start += count;
    segment.fd = -1;
    this.#pending -= count;
    if (segment.start === segment.end) {
      this.#segments.shift();
      if (segment.bytes === this.#home) this.#homeIsFree = true;
      else if (segment.isOurs) this.#reusable = segment.bytes;
      this.#waiting -= segment.waiting.length;
      for (const waiting of segment.waiting) waiting.resolve();
    }
  }

  /** Drops the first segment, that of an fd, of which nothing was sent. */
  giveUpFirst(errorOf: (operation: string) => Error): void {
    const segment = this.#segments.shift();
    if (segment === undefined) return;
    this.#pending -= segment.end - segment.start;
    this.#waiting -= segment.waiting.length;
    for (const waiting of segment.waiting) waiting.reject(errorOf(waiting.operation));
  }

  /** Copies the unsent rest of a payload, so that the caller owns the payload's memory again. */
  copyRest(payload: Uint8Array): void {
    for (const segment of this.#segments) {
      if (segment.isOurs || segment.bytes.buffer !== payload.buffer) continue;
      if (segment.bytes.length < segment.end) continue; // detached: the next flush reports the loss
      segment.bytes = Uint8Array.prototype.slice.call(segment.bytes, segment.start);
      segment.end -= segment.start;
      segment.start = 0;
    }
  }

  /** Memory for one small message, used while nothing is pending. */
  get scratch(): Uint8Array {
    this.#home ??= unzeroed(segmentSize);
    return this.#home;
  }

  #room(): Uint8Array {
    if (this.#homeIsFree) {
      this.#homeIsFree = false;
      return this.scratch;
    }
    const bytes = this.#reusable ?? unzeroed(segmentSize);
    this.#reusable = undefined;
    return bytes;
  }

  /** Settles with the last message that is pending now, or at once if none is. */
  whenSent(waiting: Waiting): void {
    const tail = this.#segments[this.#segments.length - 1];
    if (tail === undefined) waiting.resolve();
    else {
      tail.waiting.push(waiting);
      this.#waiting += 1;
    }
  }

  fail(errorOf: (operation: string) => Error): void {
    const segments = this.#segments.splice(0);
    this.#pending = 0;
    this.#waiting = 0;
    this.#homeIsFree = true;
    for (const { waiting } of segments) {
      for (const { operation, reject } of waiting) reject(errorOf(operation));
    }
  }
}
