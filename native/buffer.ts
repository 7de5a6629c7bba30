// Memory that host and sandboxee share: a memfd, mapped as a Uint8Array.
import { constants } from 'node:buffer';
import { fstatSync, readSync, writeSync } from 'node:fs';
import { kindOf } from '../protocol/arguments.js';
import { checkOptions } from '../protocol/options.js';
import { addon, type FdDescription } from './addon.js';
import { copyInPieces, grow, readAll, readBeginning, writeBeginning } from './foreign-memory.js';

export interface BufferOptions {
  /**
   * false: data is a separate copy, which load() fills from the shared memory and store() writes back. Use it for
   * contents that must not change while they are read, and for file descriptors that cannot be mapped safely. Default:
   * true.
   */
  readonly shared?: boolean | undefined;
  /**
   * A file descriptor with more bytes than this is refused. Default: 256 MiB for a copy; no limit for mapped memory,
   * which takes nothing before it is touched.
   */
  readonly maxBytes?: number | undefined;
}

const defaultMaxBytes = 256 << 20;

/** A file descriptor that cannot be a buffer; the message says why, and what to do. */
export class BufferError extends Error {
  override readonly name = 'BufferError';
  /** NOT_SEALED: it could shrink while it is read, or is read-only. NOT_MEMORY: not a memfd of ordinary pages. */
  readonly code: 'NOT_SEALED' | 'NOT_MEMORY' | 'EMPTY' | 'TOO_LARGE';

  constructor(code: BufferError['code'], why: string, cause?: unknown) {
    super(why, { cause });
    this.code = code;
  }
}

const copyInstead = 'or take a copy: Buffer.fromFd(fd, { shared: false })';

function refusal(fd: number, error: unknown): Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const what = `fd ${fd} cannot be mapped:`;
  switch (code) {
    case 'EPERM':
      return new BufferError(
        'NOT_SEALED',
        `${what} it lacks F_SEAL_SHRINK, so another process could shrink it, and reading it would end this ` +
          `process by SIGBUS, or it is sealed against writing. Make it with Buffer.create(), ${copyInstead}`,
        error,
      );
    case 'EACCES':
      return new BufferError(
        'NOT_SEALED',
        `${what} it was opened for reading only. Open it for both, ${copyInstead}`,
      );
    case 'EINVAL':
      return new BufferError(
        'NOT_MEMORY',
        `${what} it is not a memfd, or it is empty. Make it with Buffer.create(), ${copyInstead}`,
      );
    case 'ENOTSUP':
      return new BufferError(
        'NOT_MEMORY',
        `${what} it is made of huge pages. Make it of ordinary ones, ${copyInstead}`,
      );
    default:
      return error as Error;
  }
}

/** The contents of a Buffer; mapping: undefined for a copy. */
interface Contents {
  readonly data: Uint8Array;
  readonly mapping: number | undefined;
}

function checkSize(method: string, size: number): void {
  if (Number.isInteger(size) && size > 0 && size <= constants.MAX_LENGTH) return;
  throw new RangeError(
    `Buffer.${method}: a size from 1 to ${constants.MAX_LENGTH} bytes is needed, not ${typeof size === 'number' ? size : kindOf(size)}`,
  );
}

function checkFd(method: string, fd: number): void {
  if (Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff) return;
  throw new TypeError(`Buffer.${method}: ${fd} is not a file descriptor number`);
}

function checkBufferOptions(method: string, options: BufferOptions): void {
  checkOptions(`Buffer.${method}`, options, ['shared', 'maxBytes']);
  const { shared, maxBytes } = options;
  if (shared !== undefined && typeof shared !== 'boolean')
    throw new TypeError(`Buffer.${method}: shared must be true or false, not ${kindOf(shared)}`);
  if (maxBytes === undefined) return;
  if (typeof maxBytes !== 'number')
    throw new TypeError(`Buffer.${method}: maxBytes must be a number, not ${kindOf(maxBytes)}`);
  if (!(maxBytes >= 0)) throw new RangeError(`Buffer.${method}: maxBytes must be 0 or more, not ${maxBytes}`);
}

/**
 * Memory shared between two processes, sent by comms.sendFd(buffer) and received by Buffer.fromFd(). It is a memfd
 * sealed against shrinking, so that no sandboxee can make reading it fatal (see memfd_create(2), fcntl(2)).
 *
 * The other side may write to shared memory at any time: if the contents must not change while you use them, copy them
 * first.
 *
 * dispose() closes the file descriptor and unmaps the memory. If a Buffer is dropped without dispose(), the file
 * descriptor stays open, and the memory stays mapped while a Uint8Array over it can be reached.
 *
 * Memory that was moved out of data.buffer (ArrayBuffer.prototype.transfer()) stays where it was moved to. If its
 * thread ends meanwhile, it stays mapped for good, because another thread may have it.
 */
export class Buffer implements Disposable {
  #fd: number;
  #data: Uint8Array;
  readonly #isShared: boolean;
  /** The mappings by the addon's numbers, including those from before expand(). */
  readonly #mappings: number[] = [];

  private constructor(fd: number, contents: Contents) {
    if (!(contents?.data instanceof Uint8Array)) {
      throw new TypeError('Buffer: use Buffer.create(size or bytes) or Buffer.fromFd(fd), not new');
    }
    this.#fd = fd;
    this.#data = contents.data;
    this.#isShared = contents.mapping !== undefined;
    if (contents.mapping !== undefined) this.#mappings.push(contents.mapping);
  }

  /**
   * Makes a new buffer: with this many bytes, all zero, or with these bytes in it. Throws RangeError, or a system
   * error.
   */
  static create(contents: number | Uint8Array, options: BufferOptions = {}): Buffer {
    const size = contents instanceof Uint8Array ? contents.length : contents;
    checkSize('create', size);
    checkBufferOptions('create', options);
    const fd = addon().createBufferFd(size);
    try {
      const buffer = new Buffer(fd, map(fd, size, options));
      if (typeof contents !== 'number') {
        buffer.data.set(contents);
        buffer.store();
      }
      return buffer;
    } catch (error) {
      addon().closeFd(fd);
      throw error;
    }
  }

  /**
   * The buffer behind a received file descriptor, with all of its size at this moment. The buffer owns the fd from now
   * on. Throws BufferError if the fd could become dangerous to read; then the caller still owns it. With { shared:
   * false } any memfd or file is accepted, as a copy: prefer fromFdAsync() for that.
   */
  static fromFd(fd: number, options: BufferOptions = {}): Buffer {
    checkFd('fromFd', fd);
    checkBufferOptions('fromFd', options);
    if (options.shared === false) return new Buffer(fd, { data: copyOf(fd, options), mapping: undefined });
    let size: number;
    try {
      size = addon().measureBufferFd(fd);
      const limit = Math.min(constants.MAX_LENGTH, options.maxBytes ?? constants.MAX_LENGTH);
      if (size > limit) throw tooLarge(fd, size, limit);
      return new Buffer(fd, map(fd, size, options));
    } catch (error) {
      throw refusal(fd, error);
    }
  }

  /**
   * The same as fromFd(), but the event loop does not wait. Use it to copy what a sandboxee sent: fromFd() blocks the
   * event loop while it copies, and while a lock of the sandboxee's or a slow file system makes it wait.
   */
  static async fromFdAsync(fd: number, options: BufferOptions = {}): Promise<Buffer> {
    if (options?.shared !== false) return Buffer.fromFd(fd, options);
    checkFd('fromFdAsync', fd);
    checkBufferOptions('fromFdAsync', options);
    const data = await readAll(fd, (description) => checkCopyable(fd, description, options));
    return new Buffer(fd, { data, mapping: undefined });
  }

  /** The same as fromFd(), by the name in the guide. */
  static setup(fd: number, options: BufferOptions = {}): Buffer {
    return Buffer.fromFd(fd, options);
  }

  /** The memory itself if isShared, else a copy. Throws after dispose(). */
  get data(): Uint8Array {
    this.#checkOpen();
    return this.#data;
  }

  /** The size in bytes, as far as it is mapped here. Throws after dispose(). */
  get size(): number {
    this.#checkOpen();
    return this.#data.length;
  }

  /** The fd, for comms.sendFd(). The buffer still owns it. Throws after dispose(). */
  get fd(): number {
    this.#checkOpen();
    return this.#fd;
  }

  /**
   * True if data is the memory itself. false if the options say so, or if the runtime allows no ArrayBuffer over
   * foreign memory (V8's sandbox, as in Electron): then use load() and store().
   */
  get isShared(): boolean {
    return this.#isShared;
  }

  /**
   * Makes it at least size bytes large, and maps all of it, including what the other side has added; 0 means "its
   * present size". It never becomes smaller. If the size has changed, data is another Uint8Array afterwards; earlier
   * ones still show the part they always showed, until dispose(). Throws RangeError, or a system error; then nothing
   * has changed.
   */
  expand(size: number): void {
    this.#checkOpen();
    if (size !== 0) checkSize('expand', size);
    const grown = addon().growBufferFd(this.#fd, size);
    if (grown === this.#data.length) return;
    if (this.#isShared) {
      this.#mapAnew(grown);
      return;
    }
    checkRoom(this.#fd, grown);
    const data = new Uint8Array(grown);
    fill(this.#fd, data);
    data.set(this.#data);
    this.#data = data;
  }

  /**
   * The same as expand(), but the event loop does not wait. expand() waits while the other side is in a system call that
   * writes to the memory. Only one call at a time.
   */
  async expandAsync(size: number): Promise<void> {
    this.#checkOpen();
    if (size !== 0) checkSize('expandAsync', size);
    const grown = await grow(this.#fd, size);
    this.#checkOpen();
    if (grown === this.#data.length) return;
    if (this.#isShared) {
      this.#mapAnew(grown);
      return;
    }
    checkRoom(this.#fd, grown);
    const data = await readBeginning(this.#fd, grown);
    await copyInPieces(this.#data, data);
    this.#checkOpen();
    this.#data = data;
  }

  #mapAnew(size: number): void {
    checkRoom(this.#fd, size);
    const { data, mapping } = map(this.#fd, size, {});
    this.#data = data;
    if (mapping !== undefined) this.#mappings.push(mapping);
  }

  /** Copies the present contents of the shared memory into data. Only needed for a copy. */
  load(): void {
    this.#checkOpen();
    if (!this.#isShared) fill(this.#fd, this.#data);
  }

  /** The same as load(), but the event loop does not wait. data is another Uint8Array afterwards. */
  async loadAsync(): Promise<void> {
    this.#checkOpen();
    if (this.#isShared) return;
    const data = await readBeginning(this.#fd, this.#data.length);
    this.#checkOpen();
    this.#data = data;
  }

  /** The same as store(), but the event loop does not wait. */
  async storeAsync(): Promise<void> {
    this.#checkOpen();
    if (!this.#isShared) await writeBeginning(this.#fd, this.#data);
  }

  /** Copies data into the shared memory. Only needed for a copy. */
  store(): void {
    this.#checkOpen();
    if (this.#isShared) return;
    for (let at = 0; at < this.#data.length; )
      at += writeSync(this.#fd, this.#data, at, this.#data.length - at, at);
  }

  /**
   * Closes the fd and unmaps the memory; in a host a thread does so soon after. All views of it, data and those from
   * before expand() included, are empty from now on. So no call may be using them: an unfinished fs.read() would write
   * to memory that is lost or used for something else. A copy stays valid. What Node keeps for each view, about 1 KiB,
   * is freed with the next turn of the event loop. Safe to call twice.
   */
  dispose(): void {
    if (this.#fd < 0) return;
    for (const mapping of this.#mappings.splice(0)) addon().releaseMapping(mapping);
    addon().closeAside(this.#fd);
    this.#fd = -1;
    this.#data = new Uint8Array();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkOpen(): void {
    if (this.#fd < 0) throw new Error('the Buffer was disposed of');
  }
}

function map(fd: number, size: number, options: BufferOptions): Contents {
  const mapped = options.shared === false ? undefined : addon().mapBufferFd(fd, size);
  if (mapped !== undefined) return { data: new Uint8Array(mapped.memory), mapping: mapped.mapping };
  const data = new Uint8Array(size);
  fill(fd, data);
  return { data, mapping: undefined };
}

function tooLarge(fd: number, size: number, limit: number): BufferError {
  return new BufferError('TOO_LARGE', `fd ${fd} has ${size} bytes, more than ${limit}`);
}

function checkRoom(fd: number, size: number): void {
  if (size > constants.MAX_LENGTH) throw tooLarge(fd, size, constants.MAX_LENGTH);
}

/** Only files: a read of anything else could wait for ever. */
function checkCopyable(fd: number, { type, size }: FdDescription, options: BufferOptions): void {
  if (type !== 'file') throw new BufferError('NOT_MEMORY', `fd ${fd} is neither a memfd nor a file`);
  const limit = options.maxBytes ?? defaultMaxBytes;
  if (size > limit) throw tooLarge(fd, size, limit);
  if (size === 0) throw new BufferError('EMPTY', `fd ${fd} is empty`);
}

function copyOf(fd: number, options: BufferOptions): Uint8Array {
  const status = fstatSync(fd);
  checkCopyable(fd, { type: status.isFile() ? 'file' : 'other', size: status.size }, options);
  const copy = new Uint8Array(status.size);
  fill(fd, copy);
  return copy;
}

/** Reads the beginning of a file. If the file has become shorter, the rest is zero. */
function fill(fd: number, into: Uint8Array): void {
  let at = 0;
  while (at < into.length) {
    const count = readSync(fd, into, at, into.length - at, at);
    if (count === 0) break;
    at += count;
  }
  into.fill(0, at);
}
