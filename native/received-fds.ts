// What is made of a file descriptor that came on comms.
import type { FileHandle } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';

/** Which of them a Comms uses. */
export const receivedFds = Symbol('received fds');

/** Each takes the fd over, and resolves with undefined, the fd being closed, for a type of file that it is not for. */
export interface ReceivedFds {
  fileHandle(fd: number): Promise<FileHandle | undefined>;
  readable(fd: number): Promise<Readable | undefined>;
  writable(fd: number): Promise<Writable | undefined>;
}
