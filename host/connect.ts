// Connecting to a named socket on which a sandboxee may listen.
import type { Comms } from '../native/comms.js';
import { connectBy, connectSyncBy } from '../native/connecting.js';
import type { ReceiveOptions, SyncReceiveOptions } from '../protocol/index.js';

/**
 * Connects to a listener, sandwire's or sandbox2's. Rejects with ENOENT or ECONNREFUSED if nobody listens there, with
 * TIMEOUT if so many wait to be accepted that there is no room in time. The connection to a path belongs to a network
 * that holds nothing: a sandboxee that listens there learns nothing of the host's by it.
 */
export async function connect(address: string, options: ReceiveOptions = {}): Promise<Comms> {
  return connectBy('connectNamedFromHost', address, options);
}

/** The same, waiting where it stands. */
export function connectSync(address: string, options: SyncReceiveOptions = {}): Comms {
  return connectSyncBy('connectNamedFromHost', address, options);
}
