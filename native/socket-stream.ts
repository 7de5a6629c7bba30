// The host's end of a standard stream of a sandboxee, as a stream of Node's. It is a Unix socket and no pipe: the two ends of
// a pipe share one lock, and a sandboxee that has it can stop whoever reads the other end, or writes to it, for as long as
// it lives: splice(2) from a silent socket into a pipe is enough. Nor is it read by libuv, in whose reads the kernel closes
// what fds come with the bytes.
import { Readable, Writable } from 'node:stream';
import { addon } from './addon.js';
import { SocketTransport } from './socket-transport.js';

const pieceSize = 64 << 10;
const nothing = new Uint8Array();
/** Between two turns of the event loop one stream has no more than this. */
const piecesPerTurn = 4;

/** It carries bytes and nothing else: from Linux 6.16 on the kernel sends no fds here, before that they end the stream. */
function open(fd: number): SocketTransport {
  const transport = new SocketTransport(fd, 'untrusted', true);
  addon().refuseFds(fd);
  return transport;
}

function fdsRefused(): Error {
  return new Error(
    'file descriptors came with the bytes of a standard stream; they were closed, and the stream with them',
  );
}

/** What comes. Takes the fd, an AF_UNIX stream socket, over. */
export class SocketReadable extends Readable {
  readonly #transport: SocketTransport;
  readonly #onReady = () => this.#receive();
  readonly #call = { into: nothing, offset: 0, length: 0, fds: [] as number[], wait: false, timeoutMs: -1 };

  constructor(fd: number) {
    super({ highWaterMark: pieceSize });
    this.#transport = open(fd);
  }

  /** Nothing more is sent by the other end; what it has sent can still be read. */
  shutDown(): void {
    this.#transport.shutDown();
  }

  override _read(): void {
    if (this.#call.length === 0) {
      this.#call.into = new Uint8Array(pieceSize);
      this.#call.length = pieceSize;
    }
    if (this.#transport.isOpen) this.#transport.watch(true, false, this.#onReady);
  }

  #receive(): void {
    for (let piece = 0; piece < piecesPerTurn && !this.destroyed; piece++) {
      const count = this.#receiveOnce();
      if (count < 0) return;
      const wantsMore = this.push(count === 0 ? null : Buffer.from(this.#call.into.subarray(0, count)));
      if (wantsMore && count > 0) continue;
      if (this.#transport.isOpen) this.#transport.watch(false, false, this.#onReady);
      return;
    }
  }

  /** −1: nothing is there, or the stream has been destroyed for what was. */
  #receiveOnce(): number {
    const { fds } = this.#call;
    try {
      const count = this.#transport.receive(this.#call);
      if (fds.length === 0) return count;
      for (const fd of fds.splice(0)) this.#transport.closeFd(fd);
      this.destroy(fdsRefused());
    } catch (error) {
      this.destroy(error as Error);
    }
    return -1;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#transport.close();
    callback(error);
  }
}

/** What goes. Takes the fd, an AF_UNIX stream socket, over. */
export class SocketWritable extends Writable {
  readonly #transport: SocketTransport;
  #left: Uint8Array = nothing;
  #done: ((error?: Error) => void) | undefined;
  readonly #onReady = () => this.#send();

  constructor(fd: number) {
    super({ highWaterMark: pieceSize });
    this.#transport = open(fd);
  }

  /** The other end reads nothing any more. */
  shutDown(): void {
    this.#transport.shutDown();
  }

  override _write(chunk: Uint8Array, _: string, callback: (error?: Error) => void): void {
    this.#left = chunk;
    this.#done = callback;
    this.#send();
  }

  #send(): void {
    let failure: Error | undefined;
    try {
      while (this.#left.length > 0) {
        const call = {
          bytes: this.#left,
          offset: 0,
          length: this.#left.length,
          fd: -1,
          wait: false,
          timeoutMs: -1,
        };
        const count = this.#transport.send(call);
        if (count < 0) {
          this.#transport.watch(false, true, this.#onReady);
          return;
        }
        this.#left = this.#left.subarray(count);
      }
    } catch (error) {
      failure = error as Error;
    }
    this.#transport.watch(false, false, this.#onReady);
    const done = this.#done;
    this.#done = undefined;
    done?.(failure);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#transport.close();
    this.#done?.(error ?? new Error('the stream was destroyed before all was written'));
    this.#done = undefined;
    callback(error);
  }
}
