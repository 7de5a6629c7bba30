// The sandboxee's half of sandboxMeHere, for Node.
import { addon } from '../native/addon.js';
import { decodeMessage } from '../protocol/index.js';
import type { SandboxingConfig } from '../protocol/messages.generated.js';
import { Handshake, Tag, WireFd, WireName } from '../protocol/wire.generated.js';
import type { Comms } from './comms.js';

/** The set-up of a sandbox has failed; nothing is in force yet. */
export class SandboxingError extends Error {
  override readonly name = 'SandboxingError';
}

/** Names and numbers from "name,fd,name,fd". */
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

/** What a program under a sandwire host does beyond talking: take mapped fds, and sandbox itself. */
export class Client {
  readonly #comms: Comms;
  readonly #fds: Map<string, number>;

  constructor(comms: Comms) {
    this.#comms = comms;
    this.#fds = parseMappings(process.env[WireName.FD_MAPPINGS_ENV] ?? '');
    delete process.env[WireName.FD_MAPPINGS_ENV];
  }

  /** The fd that the host mapped under this name; the caller's from then on, and asked for once. */
  getMappedFd(name: string): number {
    const fd = this.#fds.get(name);
    if (fd === undefined)
      throw new SandboxingError(`no fd was mapped under the name ${JSON.stringify(name)}`);
    this.#fds.delete(name);
    return fd;
  }

  hasMappedFd(name: string): boolean {
    return this.#fds.has(name);
  }

  /**
   * Puts the whole process, all its threads, under the host's policy; in force when it returns. Only under a sandwire
   * host, started with setEnableSandboxBeforeExec(false). Throws while nothing is in force; later failures end the
   * process.
   */
  sandboxMeHere(): void {
    const rendezvous = process.env[WireName.RENDEZVOUS_FD_ENV];
    if (rendezvous !== String(WireFd.RENDEZVOUS_FD)) {
      throw new SandboxingError(
        'this process was not started for sandboxMeHere() by a sandwire host (setEnableSandboxBeforeExec(false))',
      );
    }
    delete process.env[WireName.RENDEZVOUS_FD_ENV];
    const comms = this.#comms;
    comms.sendVersionSync(`${WireName.VERSION_IDENTITY}V${Handshake.VERSION}`);
    comms.recvVersionSync();
    const config = decodeMessage('SandboxingConfig', comms.recvProtobufBytesSync());
    this.#takeFds(config);
    if (config.cwd !== undefined && config.cwd !== '') process.chdir(config.cwd);
    const upgrade = comms.recvMessageSync();
    if (upgrade.tag !== Tag.CommsNoUpgrade)
      throw new SandboxingError('the host asks for comms over shared memory');
    comms.sendUint32Sync(Handshake.CLIENT_READY);
    const go = comms.recvUint32Sync();
    const allowSpeculation = (go & Handshake.ALLOW_SPECULATION_BIT) !== 0;
    if ((go & Handshake.GO_MASK) >>> 0 !== Handshake.GO_UNOTIFY) {
      throw new SandboxingError(`the host said 0x${go.toString(16)} where "go" was expected`);
    }
    addon().installPolicy(config.policyBytes ?? new Uint8Array(), allowSpeculation);
  }

  #takeFds(config: SandboxingConfig): void {
    for (const { requestedFd = -1, name = '' } of config.fdMappings ?? []) {
      const received = this.#comms.recvFdSync();
      if (requestedFd === WireFd.COMMS_FD || requestedFd === WireFd.RENDEZVOUS_FD) {
        throw new SandboxingError(`fd ${requestedFd} cannot be mapped`);
      }
      const fd = requestedFd < 0 ? received : addon().moveFd(received, requestedFd);
      if (name === '') continue;
      if (this.#fds.has(name))
        throw new SandboxingError(`two fds are mapped under the name ${JSON.stringify(name)}`);
      this.#fds.set(name, fd);
    }
  }
}
