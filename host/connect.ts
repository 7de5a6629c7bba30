// Connecting to a named socket. A sandboxee may be the listener.
import { Comms } from '../native/comms.js';
import { type Connecting, connectBy, connectSyncBy } from '../native/connecting.js';
import type { ReceiveOptions, SyncReceiveOptions } from '../protocol/index.js';

const connecting: Connecting = { call: 'connectNamedFromHost', open: (fd) => new Comms(fd) };

/**
 * Connects to a listener, sandwire's or sandbox2's. Rejects with ENOENT or ECONNREFUSED if nobody listens there, with
 * TIMEOUT if so many wait to be accepted that there is no room in time. The connection to a path belongs to a network
 * that holds nothing: a sandboxee that listens there learns nothing of the host's by it.
 */
export async function connect(address: string, options: ReceiveOptions = {}): Promise<Comms> {
  return connectBy(connecting, address, options);
}

/** The same, waiting where it stands. */
export function connectSync(address: string, options: SyncReceiveOptions = {}): Comms {
  return connectSyncBy(connecting, address, options);
}
