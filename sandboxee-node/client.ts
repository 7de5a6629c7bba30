// The sandboxee's half of sandboxMeHere, for Node.
import { addon } from '../native/addon.js';
import { WireFd, WireName } from '../protocol/wire.generated.js';
import type { Comms } from './comms.js';
import { receivePolicy, SandboxingError } from './handshake.js';

/** Parses the names and numbers of "name,fd,name,fd". */
function parseMappings(text: string): Map<string, number> {
  const fds = new Map<string, number>();
  if (text === '') return fds;
  const parts = text.split(',');
  for (let index = 0; index < parts.length; index += 2) {
    const [name = '', fd = ''] = parts.slice(index, index + 2);
    if (name === '' || !/^\d{1,9}$/.test(fd) || fds.has(name)) {
      throw new SandboxingError(`${WireName.FD_MAPPINGS_ENV} is malformed: ${JSON.stringify(text)}`);
    }
    fds.set(name, Number(fd));
  }
  return fds;
}

let isRendezvousGiven = false;

/** For a forked process: the rendezvous socket has its usual number, but no environment variable says so. */
export function noteRendezvous(): void {
  isRendezvousGiven = true;
}

/** What a program under a sandwire host does besides using comms: it takes mapped fds, and sandboxes itself. */
export class Client {
  readonly #comms: Comms;
  readonly #fds: Map<string, number>;

  constructor(comms: Comms) {
    this.#comms = comms;
    this.#fds = parseMappings(process.env[WireName.FD_MAPPINGS_ENV] ?? '');
    delete process.env[WireName.FD_MAPPINGS_ENV];
  }

  /** The fd that the host mapped under this name. The caller owns it from then on; it can be requested once. */
  getMappedFd(name: string): number {
    const fd = this.#fds.get(name);
    if (fd === undefined) {
      throw new SandboxingError(
        `no fd is mapped under the name ${JSON.stringify(name)}; the host's names arrive with sandboxMeHere(), ` +
          'so call that first',
      );
    }
    this.#fds.delete(name);
    return fd;
  }

  hasMappedFd(name: string): boolean {
    return this.#fds.has(name);
  }

  /**
   * Puts the whole process, all its threads, under the host's policy, which is in force when it returns. Works only
   * under a sandwire host, in a process started with setEnableSandboxBeforeExec(false). Throws while nothing is in
   * force; a later failure ends the process.
   */
  sandboxMeHere(): void {
    if (!isRendezvousGiven && process.env[WireName.RENDEZVOUS_FD_ENV] !== String(WireFd.RENDEZVOUS_FD)) {
      throw new SandboxingError(
        'this process was not started for sandboxMeHere() by a sandwire host (setEnableSandboxBeforeExec(false))',
      );
    }
    delete process.env[WireName.RENDEZVOUS_FD_ENV];
    isRendezvousGiven = false;
    const { program, allowSpeculation } = receivePolicy(this.#comms, this.#fds);
    addon().installPolicy(program, allowSpeculation);
  }
}
