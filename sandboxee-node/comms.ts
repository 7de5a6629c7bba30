// The channel of a Node sandboxee to its host.
import { addon } from '../native/addon.js';
import { Comms as SocketComms } from '../native/comms.js';
import { type ReceivedFds, receivedFds } from '../native/received-fds.js';
import { SocketTransport } from '../native/socket-transport.js';
import type { Transport } from '../protocol/index.js';
import { Handshake, WireFd, WireName } from '../protocol/wire.generated.js';
import { trustedFds } from './received-fds.js';

function openDefault(fd: number): Comms {
  try {
    return new Comms(fd);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'EBADF' && code !== 'ENOTSOCK') throw error;
    const fact = code === 'EBADF' ? 'is not open' : 'is not a socket';
    throw new Error(
      `this process has no sandwire host (fd ${fd} ${fact}); a host starts it with Executor.node() or Executor.nodeForkServer()`,
      { cause: error },
    );
  }
}

/** A typed channel; in a sandboxee the one to its host is Comms.default(). */
export class Comms extends SocketComms {
  static #default: Comms | undefined;
  readonly #socket: SocketTransport | undefined;

  /** @param socket a connected Unix stream socket, by number, or another transport; closed with the channel */
  constructor(socket: number | Transport) {
    const transport = typeof socket === 'number' ? new SocketTransport(socket, 'trusted') : socket;
    super(transport);
    this.#socket = transport instanceof SocketTransport ? transport : undefined;
  }

  /** @internal */
  protected override get [receivedFds](): ReceivedFds {
    return trustedFds;
  }

  /** The channel on fd 1023, or on the one that SANDBOX2_COMMS_FD names. Returns the same object each time. */
  static default(): Comms {
    if (Comms.#default === undefined) {
      const text = process.env[WireName.COMMS_FD_ENV] ?? String(WireFd.COMMS_FD);
      if (!/^\d{1,9}$/.test(text))
        throw new Error(`${WireName.COMMS_FD_ENV} is ${JSON.stringify(text)}, which is not an fd number`);
      delete process.env[WireName.COMMS_FD_ENV]; // not for child processes: two readers would tear messages apart
      Comms.#default = openDefault(Number(text));
    }
    return Comms.#default;
  }

  /** For a forked process: makes this channel the default one, and returns the one that it replaces. */
  static adopt(comms: Comms | undefined): Comms | undefined {
    const before = Comms.#default;
    Comms.#default = comms;
    return before;
  }

  /** Gives its fd up, so that the caller can use it in another way. This object is closed then. */
  release(): number {
    if (this.#socket === undefined) throw new TypeError('Comms.release: this channel is not a socket');
    const fd = this.#socket.release();
    this.close();
    return fd;
  }
}

/** Whether this process runs under the policy of a sandwire or sandbox2 host. */
export function isSandboxed(): boolean {
  const errno = addon().magicSyscall(0);
  return errno === Handshake.MAGIC_ERRNO || errno === Handshake.MAGIC_SANDWIRE_ERRNO;
}
