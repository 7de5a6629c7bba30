// Takes messages out of a byte stream as it arrives. Trusts no length: memory grows with the bytes that came.
import { readUint32 } from './codec.js';
import { Tag, WireLimit } from './wire.generated.js';

const initialCapacity = 64 << 10;

/** A message in the inbox. payload is a view that is only good until the inbox is filled again. */
export interface InboxMessage {
  tag: number;
  payload: Uint8Array;
  /** Of an Fd message; otherwise -1. */
  fd: number;
}

export type InboxFailure = 'TOO_LARGE' | 'BAD_LENGTH' | 'NO_FD' | 'SURPLUS_FD';

/** The state of the next message: complete, not there yet, or an error that ends the channel. */
export type InboxState = 'message' | 'more' | InboxFailure;

function bringsFd(tag: number): boolean {
  return tag === Tag.Fd || tag === Tag.CommsUpgrade;
}

export class Inbox {
  #buffer = new Uint8Array(initialCapacity);
  #start = 0;
  #end = 0;
  #fd = -1;
  /** Where, in the buffer, the bytes end that the fd came with. */
  #fdEnd = 0;
  payloadLimit: number = WireLimit.DEFAULT_PAYLOAD_LIMIT;

  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** Unread bytes. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** Makes room and says where the next bytes go: buffer[offset, capacity). */
  prepare(): number {
    if (this.#start === this.#end) {
      this.#moveTo(0);
      if (this.#buffer.length > initialCapacity && this.#fd < 0)
        this.#buffer = new Uint8Array(initialCapacity);
    } else if (this.#end === this.#buffer.length) {
      if (this.#start > 0) {
        this.#buffer.copyWithin(0, this.#start, this.#end);
        this.#moveTo(0);
      } else {
        const grown = new Uint8Array(this.#buffer.length * 2);
        grown.set(this.#buffer);
        this.#buffer = grown;
      }
    }
    return this.#end;
  }

  #moveTo(offset: number): void {
    const size = this.#end - this.#start;
    this.#fdEnd -= this.#start - offset;
    this.#start = offset;
    this.#end = offset + size;
  }

  /** Bytes, and perhaps an fd, have arrived. false: the fd is one too many, and still the caller's. */
  arrived(count: number, fd: number): boolean {
    this.#end += count;
    if (fd < 0) return true;
    if (this.#fd >= 0) return false;
    this.#fd = fd;
    this.#fdEnd = this.#end;
    return true;
  }

  /** Looks at the next message without taking it. */
  state(): InboxState {
    const size = this.#end - this.#start;
    if (size < WireLimit.HEADER_SIZE) return 'more';
    const low = readUint32(this.#buffer, this.#start + 4);
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
    return readUint32(this.#buffer, this.#start);
  }

  get hasHeader(): boolean {
    return this.size >= WireLimit.HEADER_SIZE;
  }

  /** Payload length of the next message; state() must be "message". */
  length(): number {
    return readUint32(this.#buffer, this.#start + 4);
  }

  /** Takes the next message; state() must be "message". */
  take(into: InboxMessage): void {
    const length = this.length();
    const at = this.#start + WireLimit.HEADER_SIZE;
    into.tag = this.tag();
    into.payload = this.#buffer.subarray(at, at + length);
    into.fd = -1;
    if (bringsFd(into.tag)) {
      into.fd = this.#fd;
      this.#fd = -1;
    }
    this.#start = at + length;
  }

  /** Takes a pending fd out, for closing; -1: none. */
  dropFd(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }
}
