// What a Buffer does with its memfd where it must not wait: whoever has the other end can lock the file, and make it large.
import { setImmediate } from 'node:timers/promises';
import { addon, type FdDescription } from './addon.js';
import { ForeignFd } from './foreign-fd.js';

/** What the event loop copies at once. */
const pieceSize = 512 << 10;

/** The fd stays the caller's, and is not needed any more when it resolves. */
async function withDuplicate<T>(fd: number, use: (foreign: ForeignFd) => Promise<T>): Promise<T> {
  const foreign = new ForeignFd(addon().duplicate(fd));
  try {
    return await use(foreign);
  } finally {
    foreign.close();
  }
}

async function read(foreign: ForeignFd, size: number): Promise<Uint8Array> {
  const into = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const count = await foreign.read(Math.min(pieceSize, size - at), at);
    if (count === 0) break; // it has become shorter; the rest is zero
    foreign.takeRead(into, at, count);
    at += count;
  }
  return into;
}

/** All of it, unless refuse() throws for what it is. */
export function readAll(fd: number, refuse: (description: FdDescription) => void): Promise<Uint8Array> {
  return withDuplicate(fd, async (foreign) => {
    const description = await foreign.describe();
    refuse(description);
    return read(foreign, description.size);
  });
}

/** Its beginning. */
export function readBeginning(fd: number, size: number): Promise<Uint8Array> {
  return withDuplicate(fd, (foreign) => read(foreign, size));
}

export function writeBeginning(fd: number, bytes: Uint8Array): Promise<void> {
  return withDuplicate(fd, async (foreign) => {
    for (let at = 0; at < bytes.length; at += pieceSize)
      await foreign.write(bytes.subarray(at, at + pieceSize), at);
  });
}

/** Resolves with its size then. */
export function grow(fd: number, size: number): Promise<number> {
  return withDuplicate(fd, (foreign) => foreign.grow(size));
}

export async function copyInPieces(from: Uint8Array, to: Uint8Array): Promise<void> {
  for (let at = 0; at < from.length; at += pieceSize) {
    to.set(from.subarray(at, at + pieceSize), at);
    await setImmediate();
  }
}
