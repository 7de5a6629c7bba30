// The sandboxee's half of the sandboxMeHere handshake, up to the point where the policy is put in force.
import { addon } from '../native/addon.js';
import { type Comms, decodeMessage } from '../protocol/index.js';
import type { SandboxingConfig } from '../protocol/messages.generated.js';
import { Handshake, Tag, WireFd, WireName } from '../protocol/wire.generated.js';

/** The set-up of a sandbox has failed; nothing is in force yet. */
export class SandboxingError extends Error {
  override readonly name = 'SandboxingError';
}

export interface ReceivedPolicy {
  /** An array of struct sock_filter. */
  readonly program: Uint8Array;
  readonly allowSpeculation: boolean;
}

function takeFds(comms: Comms, config: SandboxingConfig, fds: Map<string, number>): void {
  for (const { requestedFd = -1, name = '' } of config.fdMappings ?? []) {
    const received = comms.recvFdSync();
    if (requestedFd === WireFd.COMMS_FD || requestedFd === WireFd.RENDEZVOUS_FD) {
      throw new SandboxingError(`fd ${requestedFd} cannot be mapped`);
    }
    const fd = requestedFd < 0 ? received : addon().moveFd(received, requestedFd);
    if (name === '') continue;
    if (fds.has(name)) throw new SandboxingError(`two fds are mapped under the name ${JSON.stringify(name)}`);
    fds.set(name, fd);
  }
}

/** Exchanges messages with the host until it says "go". By then fds are mapped and the working directory is set. */
export function receivePolicy(comms: Comms, fds: Map<string, number>): ReceivedPolicy {
  comms.sendVersionSync(`${WireName.VERSION_IDENTITY}V${Handshake.VERSION}`);
  comms.recvVersionSync();
  const config = decodeMessage('SandboxingConfig', comms.recvProtobufBytesSync());
  takeFds(comms, config, fds);
  if (config.cwd !== undefined && config.cwd !== '') process.chdir(config.cwd);
  const upgrade = comms.recvMessageSync();
  if (upgrade.tag !== Tag.CommsNoUpgrade)
    throw new SandboxingError('the host asks for comms over shared memory');
  comms.sendUint32Sync(Handshake.CLIENT_READY);
  const go = comms.recvUint32Sync();
  if ((go & Handshake.GO_MASK) >>> 0 !== Handshake.GO_UNOTIFY) {
    throw new SandboxingError(`the host said 0x${go.toString(16)} where "go" was expected`);
  }
  return {
    program: config.policyBytes ?? new Uint8Array(),
    allowSpeculation: (go & Handshake.ALLOW_SPECULATION_BIT) !== 0,
  };
}
