// Named sockets on which a sandboxee listens.
import type { Comms } from '../native/comms.js';
import { Listener as NamedListener } from '../native/listener.js';
import { Comms as TrustingComms } from './comms.js';

/**
 * Waits for connections to a named socket: a path, or "@name" in the abstract namespace of Linux, which has no file and
 * ends with the listener. A name is no secret, and a connection no proof of anything: look at comms.peerCredentials().
 * The file of a path has the permissions that umask leaves, and is removed with the listener.
 */
export class Listener extends NamedListener {
  /** @internal */
  protected override open(fd: number): Comms {
    return new TrustingComms(fd);
  }
}

/** Listens on a path, or on "@name" in the abstract namespace. See Listener. */
export function listen(address: string): Listener {
  return new Listener(address);
}
