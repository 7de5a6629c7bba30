// Named sockets: one process listens, others connect (connecting.ts).

import { CommsError, type ReceiveOptions, type SyncReceiveOptions } from '../protocol/index.js';
import { waitMs, waitSyncMs } from '../protocol/receiving.js';
import { addon, type NativeSocket } from './addon.js';
import { Comms } from './comms.js';
import { checkAddress, named } from './connecting.js';

interface Waiting {
  readonly resolve: (comms: Comms) => void;
  readonly reject: (error: Error) => void;
  cleanUp: () => void;
}

/** Between two tries to accept where this process, or the machine, has as many file descriptors as it may. */
const outOfFdsMs = 50;

function isOutOfFds(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EMFILE' || error.code === 'ENFILE');
}

/**
 * Waits for connections to a named socket: a path, or "@name" in the abstract namespace of Linux, which has no file and
 * ends with the listener. A name is no secret, and a connection no proof of anything: look at comms.peerCredentials().
 * The file of a path has the permissions that umask leaves, and is removed with the listener.
 */
export class Listener implements AsyncDisposable {
  readonly address: string;
  readonly #socket: NativeSocket;
  readonly #inode: bigint;
  readonly #waiting: Waiting[] = [];
  readonly #onReady = () => this.#serve();
  #isOpen = true;

  /** @internal */
  protected open(fd: number): Comms {
    return new Comms(fd);
  }

  /** Listens. Throws a system error: EADDRINUSE (for a path: whatever is there; nothing is replaced), ENAMETOOLONG … */
  constructor(address: string) {
    checkAddress('Listener', address);
    try {
      const { fd, inode } = addon().listenNamed(address);
      this.#socket = new (addon().Socket)(fd, true);
      this.#inode = inode;
    } catch (error) {
      throw named(error, address);
    }
    this.address = address;
  }

  /** The next connection. Rejects with CommsError: TIMEOUT, ABORTED, CLOSED when the listener is closed. */
  accept(options: ReceiveOptions = {}): Promise<Comms> {
    return new Promise((resolve, reject) => {
      const limitMs = waitMs('accept', options);
      const { signal } = options;
      if (!this.#isOpen) return reject(this.#error('CLOSED', 'the listener was closed'));
      if (signal?.aborted) return reject(this.#error('ABORTED', 'aborted by the caller', signal.reason));
      const waiting: Waiting = { resolve, reject, cleanUp: () => {} };
      const giveUp = (error: CommsError) => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        waiting.cleanUp();
        reject(error);
        this.#updateWatch();
      };
      const onAbort = () => giveUp(this.#error('ABORTED', 'aborted by the caller', signal?.reason));
      const onTimeout = () => giveUp(this.#error('TIMEOUT', `nobody connected within ${limitMs} ms`));
      const timer = limitMs < 0 ? undefined : setTimeout(onTimeout, limitMs);
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting.cleanUp = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      this.#waiting.push(waiting);
      this.#serve();
    });
  }

  /** Waits where it stands, and the event loop with it. Throws what accept() rejects with; BUSY while that is pending. */
  acceptSync(options: SyncReceiveOptions = {}): Comms {
    const limitMs = waitSyncMs('acceptSync', options);
    if (!this.#isOpen) throw this.#error('CLOSED', 'the listener was closed');
    if (this.#waiting.length > 0) throw this.#error('BUSY', 'accept() is pending');
    const fd = addon().acceptNamed(this.#socket.fd, limitMs);
    if (fd < 0) throw this.#error('TIMEOUT', `nobody connected within ${limitMs} ms`);
    return this.open(fd);
  }

  /** Every connection until the listener is closed. One for which there is no file descriptor waits until there is. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Comms, void, void> {
    while (this.#isOpen) {
      let comms: Comms;
      try {
        comms = await this.accept();
      } catch (error) {
        if (error instanceof CommsError && error.code === 'CLOSED') return;
        if (!isOutOfFds(error)) throw error;
        // Whoever connects can bring that about; the next connection waits until others have been closed.
        await new Promise((resolve) => setTimeout(resolve, outOfFdsMs));
        continue;
      }
      yield comms;
    }
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      let fd: number;
      try {
        fd = addon().acceptNamed(this.#socket.fd, 0);
      } catch (error) {
        // Out of file descriptors, for example: told to one of those who wait, as a matter of this attempt.
        this.#settle((waiting) => waiting.reject(named(error, this.address) as Error));
        continue;
      }
      if (fd < 0) break;
      this.#settle((waiting) => waiting.resolve(this.open(fd)));
    }
    this.#updateWatch();
  }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    waiting.cleanUp();
    how(waiting);
  }

  /** Watched only while somebody waits: an idle listener does not keep the process alive. */
  #updateWatch(): void {
    if (this.#isOpen) this.#socket.watch(this.#waiting.length > 0, false, this.#onReady);
  }

  #error(code: 'CLOSED' | 'ABORTED' | 'TIMEOUT' | 'BUSY', why: string, cause?: unknown): CommsError {
    return new CommsError(code, why, { operation: 'accept', peer: this.address, cause });
  }

  /** accept() fails with CLOSED from now on; connections that were accepted go on. Safe to call twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    addon().removeNamed(this.address, this.#inode);
    this.#socket.close();
    while (this.#waiting.length > 0) {
      this.#settle((waiting) => waiting.reject(this.#error('CLOSED', 'the listener was closed')));
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** Listens on a path, or on "@name" in the abstract namespace. See Listener. */
export function listen(address: string): Listener {
  return new Listener(address);
}
