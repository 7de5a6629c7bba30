// Bytes of a file, asked for piece by piece: a program of 100 MB is looked at in microseconds, and one that is no file,
// or one that somebody made to hold up who reads it, does so to nobody.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** The file is not what it should be. */
export class ElfError extends Error {}

export interface ByteSource {
  readonly size: number;
  /** Throws ElfError where there are not so many bytes. */
  read(offset: number, length: number): Buffer;
}

/** Bytes in memory. */
export function bytesOf(buffer: Buffer): ByteSource {
  return {
    size: buffer.length,
    read: (offset, length) => buffer.subarray(offset, offset + length),
  };
}

/** Does the work on an open file. Throws ElfError for what is no regular file. */
export function withFile<T>(path: string, work: (source: ByteSource) => T): T {
  // O_NONBLOCK: a FIFO is opened without waiting for its other end, and then refused.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new ElfError('it is no regular file');
    const { size } = status;
    return work({
      size,
      read(offset, length) {
        const buffer = Buffer.alloc(length);
        if (readSync(fd, buffer, 0, length, offset) !== length) throw new ElfError('it became shorter');
        return buffer;
      },
    });
  } finally {
    closeSync(fd);
  }
}
