// The network namespaces of the sockets that a process has, seen from outside.
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { sandboxeePath } from './sandbox.js';

export interface FoundSocket {
  readonly fd: number;
  /** Inode of the namespace; 0: it belongs to whom this process has no power over, its own network among them. */
  readonly network: number;
  /** In the abstract namespace. */
  readonly name: string;
}

const ownNetwork = Number(/\[(\d+)\]/.exec(readlinkSync('/proc/self/ns/net'))?.[1]);

/** Throws where the process cannot be looked into. */
export function socketsOf(pid: number): readonly FoundSocket[] {
  const { status, stdout, stderr } = spawnSync(sandboxeePath('networks_of'), [String(pid)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`networks_of ${pid}: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [fd = '', network = '', name = ''] = line.split(' ');
      return { fd: Number(fd), network: Number(network), name: Number(network) === 0 ? '' : name };
    });
}

/** That it has sockets on at least these numbers, and none of those up to last is one of the host's network. */
export function assertNoHostSocketUpTo(
  last: number,
  pid: number,
  ...expected: readonly number[]
): readonly FoundSocket[] {
  const sockets = socketsOf(pid).filter(({ fd }) => fd <= last);
  const numbers = sockets.map(({ fd }) => fd);
  for (const fd of expected) assert.ok(numbers.includes(fd), `fd ${fd} is among ${numbers}`);
  for (const { fd, network } of sockets) {
    assert.ok(network !== 0 && network !== ownNetwork, `fd ${fd} is of a network of its own: ${network}`);
  }
  return sockets;
}

/** The same of all that it has. */
export function assertNoHostSocket(pid: number, ...expected: readonly number[]): readonly FoundSocket[] {
  return assertNoHostSocketUpTo(Number.POSITIVE_INFINITY, pid, ...expected);
}
