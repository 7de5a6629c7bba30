// The bytes of a file, read piece by piece, so that a program of 100 MB is examined in microseconds. A path that is not
// a regular file, or that was made to block its reader, blocks nothing.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** The file is not what it should be. */
export class ElfError extends Error {}

export interface ByteSource {
  readonly size: number;
  /** Throws ElfError if the file is shorter. */
  read(offset: number, length: number): Buffer;
}

/** Bytes in memory. */
export function bytesOf(buffer: Buffer): ByteSource {
  return {
    size: buffer.length,
    read: (offset, length) => buffer.subarray(offset, offset + length),
  };
}

/** Opens the file and does the work on it. Throws ElfError if it is not a regular file. */
export function withFile<T>(path: string, work: (source: ByteSource) => T): T {
  // O_NONBLOCK: a FIFO is opened without waiting for its other end, and then refused.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new ElfError('it is not a regular file');
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
