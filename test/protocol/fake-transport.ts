// A byte stream in memory, with fds that are only numbers. Two of them make a pair.
import type { ReceiveCall, SendCall, Transport } from '../../protocol/index.js';

interface Chunk {
  bytes: Uint8Array;
  fd: number;
}

export class FakeTransport implements Transport {
  readonly name: string;
  isOpen = true;
  peer: FakeTransport | undefined;
  /** What arrived, in the pieces that reads return. */
  readonly arrived: Chunk[] = [];
  ended = false;
  readonly closedFds: number[] = [];
  sends = 0;
  receives = 0;
  /** Bytes that may still be sent without waiting. */
  room = Number.POSITIVE_INFINITY;
  /** How many bytes the next receive takes at most. */
  longestReceive: () => number = () => Number.POSITIVE_INFINITY;
  /** Everything sent. */
  readonly sent: Chunk[] = [];
  #listener: ((readable: boolean, writable: boolean) => void) | undefined;
  #readable = false;
  #writable = false;
  #scheduled = false;

  constructor(name: string) {
    this.name = name;
  }

  /** Lets bytes arrive, as one piece. */
  push(bytes: Uint8Array, fd = -1): void {
    this.arrived.push({ bytes, fd });
    this.#schedule();
  }

  end(): void {
    this.ended = true;
    this.#schedule();
  }

  get watches(): boolean {
    return this.#readable || this.#writable;
  }

  receive({ into, offset, length, fds }: ReceiveCall): number {
    this.receives++;
    const room = Math.min(length, this.longestReceive());
    let count = 0;
    for (;;) {
      const chunk = this.arrived[0];
      if (chunk === undefined || count === room) break;
      const part = chunk.bytes.subarray(0, room - count);
      into.set(part, offset + count);
      count += part.length;
      const { fd } = chunk;
      if (fd >= 0) fds.push(fd);
      chunk.fd = -1;
      chunk.bytes = chunk.bytes.subarray(part.length);
      if (chunk.bytes.length === 0) this.arrived.shift();
      // Like the kernel, a read ends after the bytes an fd came with, or after the part of them that there is room for.
      if (fd >= 0) break;
    }
    if (count > 0) return count;
    return this.ended ? 0 : -1;
  }

  send({ bytes, offset, length, fd, wait, timeoutMs }: SendCall): number {
    this.sends++;
    if (this.peer !== undefined && !this.peer.isOpen) {
      throw Object.assign(new Error('send EPIPE'), { code: 'EPIPE', syscall: 'send' });
    }
    const mayWait = wait && timeoutMs < 0;
    const count = mayWait ? length : Math.min(length, this.room);
    if (count === 0) return -1;
    this.room -= count;
    const piece = bytes.slice(offset, offset + count);
    this.sent.push({ bytes: piece, fd });
    this.peer?.push(piece, fd);
    return count;
  }

  watch(
    readable: boolean,
    writable: boolean,
    listener: (readable: boolean, writable: boolean) => void,
  ): void {
    this.#readable = readable;
    this.#writable = writable;
    this.#listener = listener;
    this.#schedule();
  }

  wake(): void {
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || !this.isOpen) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const readable = this.#readable && (this.arrived.length > 0 || this.ended);
      const writable = this.#writable && this.room > 0;
      if (!this.isOpen || (!readable && !writable)) return;
      this.#listener?.(readable, writable);
      this.#schedule();
    });
  }

  closeFd(fd: number): void {
    this.closedFds.push(fd);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.peer?.end();
  }
}

export function makePair(): [FakeTransport, FakeTransport] {
  const a = new FakeTransport('end a');
  const b = new FakeTransport('end b');
  a.peer = b;
  b.peer = a;
  return [a, b];
}

export function joined(chunks: readonly { readonly bytes: Uint8Array }[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks.map(({ bytes }) => bytes)));
}
