// Standard input, output and error of a forked process: the descriptors are the child's own, so the streams on them
// must be, too, whatever the fork server has done with its streams.
import { createReadStream, writeSync } from 'node:fs';
import { Writable } from 'node:stream';

const oneMillisecond = 1;
const neverNotified = new Int32Array(new SharedArrayBuffer(4));

/** Writes synchronously, as Node does to files and, on Linux, to pipes. */
class DescriptorStream extends Writable {
  readonly fd: number;

  constructor(fd: number) {
    super({ decodeStrings: true });
    this.fd = fd;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      for (let written = 0; written < chunk.length; ) written += this.#write(chunk, written);
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #write(chunk: Buffer, from: number): number {
    try {
      return writeSync(this.fd, chunk, from);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(neverNotified, 0, 0, oneMillisecond);
      return 0;
    }
  }
}

function defineLazily<Stream>(owner: object, name: 'stdin' | 'stdout' | 'stderr', make: () => Stream): void {
  let stream: Stream | undefined;
  Object.defineProperty(owner, name, {
    get: () => {
      stream ??= make();
      return stream;
    },
    enumerable: true,
    configurable: true,
  });
}

/** @param owner `process`, or its stand-in in a rehearsal */
export function renewStdio(owner: object): void {
  defineLazily(owner, 'stdin', () => createReadStream('', { fd: 0, autoClose: false }));
  defineLazily(owner, 'stdout', () => new DescriptorStream(1));
  defineLazily(owner, 'stderr', () => new DescriptorStream(2));
  // The console keeps the streams it has used, and asks for them again when it has none.
  Object.assign(console, { _stdout: undefined, _stderr: undefined });
}
