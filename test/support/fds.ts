// How many file descriptors this process has open.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { addon } from '../../native/addon.js';

// From its first stream on an event loop has one of its own, /dev/null, for when there are no more (uv__stream_init() in
// libuv, emfile_fd). Node 20 has a stream from the beginning, later versions make one when somebody wants it.
const [end, other] = addon().socketPair();
addon().closeFd(other);
const first = new Socket({ fd: end });
first.destroy();
await once(first, 'close');

export const countFds = (): number => readdirSync('/proc/self/fd').length;

/** The fd of a socket of Node's, which stays Node's. */
export function handleFd(socket: object): number {
  const fd = (socket as { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined) throw new Error('this socket has no fd');
  return fd;
}
