// How many file descriptors this process has open.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { addon } from '../../native/addon.js';

// From its first stream on an event loop keeps an fd of its own, /dev/null, for when no fds are left (uv__stream_init()
// in libuv, emfile_fd). Node 20 has a stream from the start, later versions make one when it is first needed.
const [end, other] = addon().socketPair();
addon().closeFd(other);
const first = new Socket({ fd: end });
first.destroy();
await once(first, 'close');

export const countFds = (): number => readdirSync('/proc/self/fd').length;

/** The fd of a socket of Node's; Node still owns it. */
export function handleFd(socket: object): number {
  const fd = (socket as { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined) throw new Error('this socket has no fd');
  return fd;
}
