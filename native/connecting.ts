// Connecting to a named socket, for the host and for sandboxees.

import { CommsError, type ReceiveOptions, type SyncReceiveOptions } from '../protocol/index.js';
import { waitMs, waitSyncMs } from '../protocol/receiving.js';
import { addon } from './addon.js';
import type { Comms } from './comms.js';

/** How it is done on either side. */
export interface Connecting {
  /** The addon's call. */
  readonly call: 'connectNamed' | 'connectNamedFromHost';
  readonly open: (fd: number) => Comms;
}

/** Between two tries to connect to a listener whose queue is full: the kernel tells nobody when there is room again. */
const retryMs = 5;

export function checkAddress(what: string, address: string): void {
  if (typeof address === 'string' && address !== '' && address !== '@' && !address.includes('\0')) return;
  const form = 'a path, or "@name" in the abstract namespace';
  throw new TypeError(`${what}: ${form} is needed, not ${JSON.stringify(address)}`);
}

/** What the system says, with the address it is about. */
export function named(error: unknown, address: string): unknown {
  if (error instanceof Error) error.message += ` (${address})`;
  return error;
}

function connectError(
  code: 'ABORTED' | 'TIMEOUT',
  address: string,
  why: string,
  cause?: unknown,
): CommsError {
  return new CommsError(code, why, { operation: 'connect', peer: address, cause });
}

function tryConnect({ call, open }: Connecting, address: string, timeoutMs: number): Comms | undefined {
  try {
    const fd = addon()[call](address, timeoutMs);
    return fd < 0 ? undefined : open(fd);
  } catch (error) {
    throw named(error, address);
  }
}

export async function connectBy(
  connecting: Connecting,
  address: string,
  options: ReceiveOptions,
): Promise<Comms> {
  checkAddress('connect', address);
  const limitMs = waitMs('connect', options);
  const deadline = limitMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + limitMs;
  for (;;) {
    if (options.signal?.aborted) {
      throw connectError('ABORTED', address, 'aborted by the caller', options.signal.reason);
    }
    const comms = tryConnect(connecting, address, 0);
    if (comms !== undefined) return comms;
    if (performance.now() >= deadline) throw connectError('TIMEOUT', address, 'the queue stayed full');
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

export function connectSyncBy(connecting: Connecting, address: string, options: SyncReceiveOptions): Comms {
  checkAddress('connectSync', address);
  const comms = tryConnect(connecting, address, waitSyncMs('connectSync', options));
  if (comms === undefined) throw connectError('TIMEOUT', address, 'the queue stayed full');
  return comms;
}
