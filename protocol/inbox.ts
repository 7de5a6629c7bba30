// Takes messages out of a byte stream as it arrives. Trusts no length: memory grows with the bytes that came.
import { readUint32 } from './codec.js';
import { unzeroed } from './memory.js';
import type { ReceivedMessage } from './receiving.js';
import type { Credentials } from './transport.js';
import { Tag, WireLimit } from './wire.generated.js';

const capacity = 64 << 10;
/** A payload that does not fit into the buffer gets memory of its own: at most so much before any of it came. */
const firstShare = 1 << 20;

/** What take() fills in. */
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

/** The state of the next message: complete, not there yet, or an error that ends the channel. */
export type InboxState = 'message' | 'more' | InboxFailure;

/** A payload larger than the buffer, on its way into memory of its own. */
interface LargePayload {
  readonly tag: number;
  readonly length: number;
  bytes: Uint8Array;
  have: number;
  /** bytes is memory of a receiver's, who may yet give up: then the payload moves out. */
  inTarget: boolean;
}

function bringsFd(tag: number): boolean {
  return tag === Tag.Fd || tag === Tag.CommsUpgrade;
}

export class Inbox {
  /** Of capacity, once something is received. */
  #buffer: Uint8Array = new Uint8Array();
  #start = 0;
  #end = 0;
  #large: LargePayload | undefined;
  #fd = -1;
  /** Where, in the buffer, the bytes end that the fd came with. */
  #fdEnd = 0;
  payloadLimit: number = WireLimit.DEFAULT_PAYLOAD_LIMIT;

  /** Where the next bytes go, from the offset that prepare() gave to the end. */
  get buffer(): Uint8Array {
    return this.#large?.bytes ?? this.#buffer;
  }

  /** Whether a message has begun that is not complete. */
  get isMidMessage(): boolean {
    return this.#large !== undefined || this.#end > this.#start;
  }

  /** Whether the next message has a payload that needs memory of its own. */
  get isLarge(): boolean {
    return this.#large !== undefined || (this.hasHeader && WireLimit.HEADER_SIZE + this.#length() > capacity);
  }

  /**
   * Makes room and says where the next bytes go. Not to be called while a whole message is there. target: memory that a
   * receiver offers for the payload of this message.
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
   * How many bytes may be received now, behind the offset that prepare() gave. While an fd waits for the rest of its
   * header, no more than that: what follows may bring the next fd, and there is only one place for one. None: the memory
   * of a target is no longer there.
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

  /** The memory that prepare() was offered is its owner's again. False: it has gone, with what it held of the message. */
  leaveTarget(): boolean {
    const large = this.#large;
    if (large === undefined || !large.inTarget) return true;
    if (large.bytes.length < large.have) return false;
    const kept = unzeroed(Math.min(large.length, Math.max(firstShare, large.have)));
    kept.set(large.bytes.subarray(0, large.have));
    large.bytes = kept;
    large.inTarget = false;
    return true;
  }

  /** Bytes, and perhaps an fd, have arrived. false: the fd is one too many, and still the caller's. */
  arrived(count: number, fd: number): boolean {
    if (this.#large !== undefined) {
      this.#large.have += count;
      return fd < 0; // none belongs into a payload
    }
    this.#end += count;
    if (fd < 0) return true;
    if (this.#fd >= 0) return false;
    this.#fd = fd;
    this.#fdEnd = this.#end;
    return true;
  }

  /** Looks at the next message without taking it. */
  state(): InboxState {
    if (this.#large !== undefined) return this.#large.have === this.#large.length ? 'message' : 'more';
    if (!this.hasHeader) return 'more';
    const low = this.#length();
    const high = readUint32(this.#buffer, this.#start + 8);
    if (high !== 0 || low > this.payloadLimit) return 'TOO_LARGE';
    const isFd = bringsFd(this.tag());
    if (isFd && low !== 0) return 'BAD_LENGTH';
    const end = this.#start + WireLimit.HEADER_SIZE + low;
    // The fd belongs to the message whose header holds the last of the bytes it came with.
    if (isFd && (this.#fd < 0 || this.#fdEnd > end)) return 'NO_FD';
    if (!isFd && this.#fd >= 0 && end >= this.#fdEnd) return 'SURPLUS_FD';
    return end <= this.#end ? 'message' : 'more';
  }

  /** Tag of the next message; the header must be there. */
  tag(): number {
    return this.#large?.tag ?? readUint32(this.#buffer, this.#start);
  }

  get hasHeader(): boolean {
    return this.#large !== undefined || this.#end - this.#start >= WireLimit.HEADER_SIZE;
  }

  #length(): number {
    return readUint32(this.#buffer, this.#start + 4);
  }

  /** Shows the next message, which stays; state() must be "message". */
  look(into: InboxMessage): void {
    const large = this.#large;
    into.tag = this.tag();
    into.fd = bringsFd(into.tag) ? this.#fd : -1;
    into.isOwn = large !== undefined && !large.inTarget;
    into.isInTarget = large?.inTarget === true;
    into.bytes = large?.bytes ?? this.#buffer;
    into.start = large === undefined ? this.#start + WireLimit.HEADER_SIZE : 0;
    into.length = large?.length ?? this.#length();
  }

  /** Takes the next message away, with its fd; state() must be "message". */
  take(): void {
    if (this.#large !== undefined) {
      this.#large = undefined;
      return;
    }
    if (bringsFd(this.tag())) this.#fd = -1;
    this.#start += WireLimit.HEADER_SIZE + this.#length();
  }

  /** Takes a pending fd out, for closing; -1: none. */
  dropFd(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }
}
