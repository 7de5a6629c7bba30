// How many file descriptors this process has open.
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { addon } from '../../native/addon.js';
import { eventually } from './sandbox.js';

// From its first stream on an event loop keeps an fd of its own, /dev/null, for when no fds are left (uv__stream_init()
// in libuv, emfile_fd). Node 20 has a stream from the start, later versions make one when it is first needed.
const [end, other] = addon().socketPair();
addon().closeFd(other);
const first = new Socket({ fd: end });
first.destroy();
await once(first, 'close');

const listed = (): number => readdirSync('/proc/self/fd').length;

/** Empty where no namespaces can be made. */
function pairForSandboxee(): readonly number[] {
  try {
    return addon().socketPairForSandboxee();
  } catch {
    return [];
  }
}

/** Has the addon's stock of socket pairs for sandboxees be as it is just after it was made, so that it counts the same. */
function renewStock(): void {
  for (let isNew = false; !isNew; ) {
    const before = listed();
    const pair = pairForSandboxee();
    isNew = listed() > before || pair.length === 0;
    for (const fd of pair) addon().closeFd(fd);
  }
}

export function countFds(): number {
  renewStock();
  return listed();
}

/** What was closed in a thread is so soon after. */
export const fdsBecome = (count: number): Promise<void> =>
  eventually(`${count} fds are open`, () => countFds() === count);

/** The fd of a socket of Node's; Node still owns it. */
export function handleFd(socket: object): number {
  const fd = (socket as { readonly _handle?: { readonly fd?: number } })._handle?.fd;
  if (fd === undefined) throw new Error('this socket has no fd');
  return fd;
}
