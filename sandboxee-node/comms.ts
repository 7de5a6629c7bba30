// The channel of a Node sandboxee to its host.
import { addon } from '../native/addon.js';
import { Comms as SocketComms } from '../native/comms.js';
import { Handshake, WireFd, WireName } from '../protocol/wire.generated.js';

/** A typed channel; in a sandboxee the one to its host is Comms.default(). */
export class Comms extends SocketComms {
  static #default: Comms | undefined;

  /** The channel on fd 1023, or on the one that SANDBOX2_COMMS_FD names. The same object each time. */
  static default(): Comms {
    if (Comms.#default === undefined) {
      const text = process.env[WireName.COMMS_FD_ENV] ?? String(WireFd.COMMS_FD);
      if (!/^\d{1,9}$/.test(text))
        throw new Error(`${WireName.COMMS_FD_ENV} is ${JSON.stringify(text)}, no fd number`);
      delete process.env[WireName.COMMS_FD_ENV]; // not for children: two readers would tear messages apart
      Comms.#default = new Comms(Number(text));
    }
    return Comms.#default;
  }
}

/** Whether this process runs under the policy of a sandwire or sandbox2 host. */
export function isSandboxed(): boolean {
  const errno = addon().magicSyscall(0);
  return errno === Handshake.MAGIC_ERRNO || errno === Handshake.MAGIC_SANDWIRE_ERRNO;
}
