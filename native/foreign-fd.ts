// What a host makes of file descriptors that peers send. Whoever sent one may hold it too, and hold its locks: each call on it
// may wait, and is made in a thread.
import { type FileHandle, open } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { addon, type FdDescription, type NativeForeignFd } from './addon.js';
import { guard } from './closing.js';
import type { ReceivedFds } from './received-fds.js';

/** What one call reads of a stream; the event loop copies it once more. */
const pieceSize = 64 << 10;

type Begin<T> = (callback: (error: Error | null, value: T) => void) => void;

function promise<T>(begin: Begin<T>): Promise<T> {
  return new Promise((resolve, reject) =>
    begin((error, value) => {
      if (error === null) resolve(value);
      else reject(error);
    }),
  );
}

/** Takes the fd over; if that throws it is closed. */
export class ForeignFd {
  readonly #native: NativeForeignFd;

  constructor(fd: number) {
    guard();
    try {
      this.#native = new (addon().ForeignFd)(fd);
    } catch (error) {
      addon().closeAside(fd);
      throw error;
    }
  }

  describe(): Promise<FdDescription> {
    return promise((callback) => this.#native.describe(callback));
  }

  /**
   * Resolves with the number of bytes, which takeRead() gives until the next read; 0 is the end. position −1: where its
   * description stands, or a stream. One read at a time.
   */
  read(size: number, position: number): Promise<number> {
    return promise((callback) => this.#native.read(size, position, callback));
  }

  takeRead(into: Uint8Array, offset: number, count: number): void {
    this.#native.takeRead(into, offset, count);
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return promise((callback) => this.#native.write(bytes, position, callback));
  }

  /** Of a socket; of anything else nothing. */
  endWriting(): Promise<void> {
    return promise((callback) => this.#native.endWriting(callback));
  }

  /** A buffer's; resolves with its size then. */
  grow(size: number): Promise<number> {
    return promise((callback) => this.#native.grow(size, callback));
  }

  /** Gives the fd up. */
  release(): number {
    return this.#native.release();
  }

  /** Calls that wait for the peer reject with ECANCELED. */
  close(): void {
    this.#native.close();
  }
}

class ForeignReadable extends Readable {
  readonly #foreign: ForeignFd;

  constructor(foreign: ForeignFd) {
    super({ highWaterMark: pieceSize });
    this.#foreign = foreign;
  }

  override _read(): void {
    this.#foreign.read(pieceSize, -1).then(
      (count) => this.#take(count),
      (error) => this.destroy(error),
    );
  }

  #take(count: number): void {
    if (this.destroyed) return;
    const bytes = Buffer.allocUnsafe(count);
    this.#foreign.takeRead(bytes, 0, count);
    this.push(count > 0 ? bytes : null);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#foreign.close();
    callback(error);
  }
}

class ForeignWritable extends Writable {
  readonly #foreign: ForeignFd;

  constructor(foreign: ForeignFd) {
    super({ highWaterMark: pieceSize });
    this.#foreign = foreign;
  }

  override _write(chunk: Uint8Array, _: string, callback: (error?: Error) => void): void {
    this.#foreign.write(chunk, -1).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error) => void): void {
    this.#foreign.endWriting().then(() => callback(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#foreign.close();
    callback(error);
  }
}

async function take<T>(
  fd: number,
  types: readonly FdDescription['type'][],
  make: (foreign: ForeignFd) => T | Promise<T>,
): Promise<T | undefined> {
  const foreign = new ForeignFd(fd);
  try {
    const { type } = await foreign.describe();
    if (types.includes(type)) return await make(foreign);
  } catch (error) {
    foreign.close();
    throw error;
  }
  foreign.close();
  return undefined;
}

/** Node makes FileHandles only of what it opens itself, so the fd takes the place of one. */
async function fileHandleOf(foreign: ForeignFd): Promise<FileHandle> {
  const handle = await open('/', 'r');
  const fd = foreign.release();
  try {
    addon().replaceFd(fd, handle.fd);
  } catch (error) {
    addon().closeAside(fd);
    await handle.close();
    throw error;
  }
  return handle;
}

export const foreignFds: ReceivedFds = {
  fileHandle: (fd) => take(fd, ['file', 'directory'], fileHandleOf),
  readable: (fd) => take(fd, ['file', 'pipe', 'socket'], (foreign) => new ForeignReadable(foreign)),
  writable: (fd) => take(fd, ['file', 'pipe', 'socket'], (foreign) => new ForeignWritable(foreign)),
};
