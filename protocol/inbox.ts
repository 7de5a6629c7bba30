// Takes messages out of a byte stream as it arrives. It trusts no length: memory grows only with the bytes that came.
import { readUint32 } from './codec.js';
import { unzeroed } from './memory.js';
import type { ReceivedMessage } from './receiving.js';
import type { Credentials } from './transport.js';
import { Tag, WireLimit } from './wire.generated.js';

const capacity = 64 << 10;
/** A payload that does not fit into the buffer gets memory of its own: at first at most this much. */
const firstShare = 1 << 20;

/** What peek() fills in. */
export class InboxMessage implements ReceivedMessage {
  tag = 0;
  bytes: Uint8Array = new Uint8Array();
  start = 0;
  length = 0;
  isOwn = false;
  isInTarget = false;
  fd = -1;
  credentials: Credentials | undefined = undefined;
}

export type InboxFailure = 'TOO_LARGE' | 'BAD_LENGTH' | 'NO_FD' | 'SURPLUS_FD';

/** The state of the next message: complete, still incomplete, or an error that ends the channel. */
export type InboxState = 'message' | 'more' | InboxFailure;

/** A payload larger than the buffer, which is received into memory of its own. */
interface LargePayload {
  readonly tag: number;
  readonly length: number;
  bytes: Uint8Array;
  have: number;
  /** bytes is a receiver's memory. If the receiver gives up, the payload is moved out of it. */
  inTarget: boolean;
}

function carriesFd(tag: number): boolean {
  return tag === Tag.Fd || tag === Tag.CommsUpgrade;
}

export class Inbox {
  /** Empty until something is received; then it has the full capacity. */
  #buffer: Uint8Array = new Uint8Array();
  #start = 0;
  #end = 0;
  #large: LargePayload | undefined;
  #fd = -1;
  /** Where in the buffer the bytes end that came with the fd. */
  #fdEnd = 0;
  payloadLimit: number = WireLimit.DEFAULT_PAYLOAD_LIMIT;

  /** Where the next bytes go, from the offset that prepare() returned up to the end. */
  get buffer(): Uint8Array {
    return this.#large?.bytes ?? this.#buffer;
  }

  /** True if a part of a message has arrived. */
  get isMidMessage(): boolean {
    return this.#large !== undefined || this.#end > this.#start;
  }

  /** True if the next message has a payload that needs memory of its own. */
  get isLarge(): boolean {
    return this.#large !== undefined || (this.hasHeader && WireLimit.HEADER_SIZE + this.#length() > capacity);
  }

  /**
   * Makes room and returns the offset for the next bytes. Must not be called while a whole message waits in the inbox.
   * target: memory that a receiver offers for the payload of this message.
   */
  prepare(target?: Uint8Array): number {
    if (this.#buffer.length === 0) this.#buffer = unzeroed(capacity);
    this.#large ??= this.#beginLarge(target);
    if (this.#large !== undefined) return this.#prepareLarge(this.#large);
    if (this.#start === this.#end) {
      this.#moveTo(0);
    } else if (this.#end === capacity) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#moveTo(0);
    }
    return this.#end;
  }

  /**
   * How many bytes may be received now, from the offset that prepare() returned. While an fd waits for the rest of its
   * header, only that rest may be received: the bytes behind it may bring another fd, and there is room for only one.
   * 0: the memory of the target was detached.
   */
  get room(): number {
    if (this.#large !== undefined) return this.#large.bytes.length - this.#large.have;
    const room = capacity - this.#end;
    return this.#fd < 0 ? room : Math.min(room, this.#start + WireLimit.HEADER_SIZE - this.#end);
  }

  #moveTo(offset: number): void {
    const size = this.#end - this.#start;
    this.#fdEnd -= this.#start - offset;
    this.#start = offset;
    this.#end = offset + size;
  }

  #beginLarge(target: Uint8Array | undefined): LargePayload | undefined {
    if (!this.isLarge) return undefined;
    const length = this.#length();
    const inTarget = target !== undefined && target.length >= length;
    const bytes = inTarget ? target.subarray(0, length) : unzeroed(Math.min(length, firstShare));
    const there = this.#buffer.subarray(this.#start + WireLimit.HEADER_SIZE, this.#end);
    bytes.set(there);
    const large = { tag: this.tag(), length, bytes, have: there.length, inTarget };
    this.#start = this.#end = 0;
    return large;
  }

  #prepareLarge(large: LargePayload): number {
    if (large.have === large.bytes.length) {
      const grown = unzeroed(Math.min(large.length, large.have * 2));
      grown.set(large.bytes);
      large.bytes = grown;
    }
    return large.have;
  }

  /**
   * Returns the memory that prepare() was offered to its owner. Returns false if that memory was detached, so that the
   * part of the message in it is lost.
   */
  releaseTarget(): boolean {
    const large = this.#large;
    if (large === undefined || !large.inTarget) return true;
    if (large.bytes.length < large.have) return false;
    const kept = unzeroed(Math.min(large.length, Math.max(firstShare, large.have)));
    kept.set(large.bytes.subarray(0, large.have));
    large.bytes = kept;
    large.inTarget = false;
    return true;
  }

  /**
   * Notes that bytes, and perhaps an fd, have arrived. Returns false if the fd is one too many; the caller still owns
   * it.
   */
  arrived(count: number, fd: number): boolean {
    if (this.#large !== undefined) {
      this.#large.have += count;
      return fd < 0; // no fd may come within a payload
    }
    this.#end += count;
    if (fd < 0) return true;
    if (this.#fd >= 0) return false;
    this.#fd = fd;
    this.#fdEnd = this.#end;
    return true;
  }

  /** Returns the state of the next message and leaves the message in place. */
  state(): InboxState {
    if (this.#large !== undefined) return this.#large.have === this.#large.length ? 'message' : 'more';
    if (!this.hasHeader) return 'more';
    const low = this.#length();
    const high = readUint32(this.#buffer, this.#start + 8);
    if (high !== 0 || low > this.payloadLimit) return 'TOO_LARGE';
    const isFd = carriesFd(this.tag());
    if (isFd && low !== 0) return 'BAD_LENGTH';
    const end = this.#start + WireLimit.HEADER_SIZE + low;
    // The fd belongs to the message whose header holds the last byte that came with it.
    if (isFd && (this.#fd < 0 || this.#fdEnd > end)) return 'NO_FD';
    if (!isFd && this.#fd >= 0 && end >= this.#fdEnd) return 'SURPLUS_FD';
    return end <= this.#end ? 'message' : 'more';
  }

  /** The tag of the next message. Its header must have arrived. */
  tag(): number {
    return this.#large?.tag ?? readUint32(this.#buffer, this.#start);
  }

  get hasHeader(): boolean {
    return this.#large !== undefined || this.#end - this.#start >= WireLimit.HEADER_SIZE;
  }

  #length(): number {
    return readUint32(this.#buffer, this.#start + 4);
  }

  /** Fills in the next message and leaves it in place. state() must be "message". */
  peek(into: InboxMessage): void {
    const large = this.#large;
    into.tag = this.tag();
    into.fd = carriesFd(into.tag) ? this.#fd : -1;
    into.isOwn = large !== undefined && !large.inTarget;
    into.isInTarget = large?.inTarget === true;
    into.bytes = large?.bytes ?? this.#buffer;
    into.start = large === undefined ? this.#start + WireLimit.HEADER_SIZE : 0;
    into.length = large?.length ?? this.#length();
  }

  /** Removes the next message and its fd. state() must be "message". */
  take(): void {
    if (this.#large !== undefined) {
      this.#large = undefined;
      return;
    }
    if (carriesFd(this.tag())) this.#fd = -1;
    this.#start += WireLimit.HEADER_SIZE + this.#length();
  }

  /** Removes the pending fd and returns it for closing; -1: none. */
  dropFd(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }
}
