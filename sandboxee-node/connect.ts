// Connecting to a named socket from inside a sandbox.
import type { Comms } from '../native/comms.js';
import { type Connecting, connectBy, connectSyncBy } from '../native/connecting.js';
import type { ReceiveOptions, SyncReceiveOptions } from '../protocol/index.js';
import { Comms as TrustingComms } from './comms.js';

const connecting: Connecting = { call: 'connectNamed', open: (fd) => new TrustingComms(fd) };

/**
 * Connects to a listener, sandwire's or sandbox2's. Rejects with ENOENT or ECONNREFUSED if nobody listens there, with
 * TIMEOUT if so many wait to be accepted that there is no room in time.
 */
export async function connect(address: string, options: ReceiveOptions = {}): Promise<Comms> {
  return connectBy(connecting, address, options);
}

/** The same, waiting where it stands. */
export function connectSync(address: string, options: SyncReceiveOptions = {}): Comms {
  return connectSyncBy(connecting, address, options);
}
