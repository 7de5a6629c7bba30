// The host's half of the sandboxMeHere handshake, in the versioned and the legacy form, with sandwire's own sandboxees
// and with C++ ones.

import type { Comms } from './comms.js';
import { CommsError } from './errors.js';
import { encodeMessage } from './messages.js';
import { Handshake, Tag, WireName } from './wire.generated.js';

export interface HandshakeConfig {
  /** An array of struct sock_filter. */
  readonly policyBytes: Uint8Array;
  readonly cwd: string;
  /** requestedFd -1: any number. */
  readonly mappings: readonly { readonly fd: number; readonly requestedFd: number; readonly name: string }[];
  readonly allowSpeculation: boolean;
  /** Default: Handshake.GO_UNOTIFY. With GO_PTRACE the sandboxee sends no listener. */
  readonly goFlag?: number | undefined;
  /**
   * True if the sandboxee is known to be sandwire's own, because its fork server has said so. Then all messages of the
   * host are sent at once, without waiting for the sandboxee's.
   */
  readonly isOwnPeer?: boolean | undefined;
}

export interface HandshakeHooks {
  /** Takes the seccomp listener of a sandboxee that sends it over comms. Resolves once the supervisor watches it. */
  attachListener(fd: number): Promise<void>;
}

export interface HandshakePeer {
  /** "sandwire": the sandboxee hands its listener to the supervisor itself. */
  readonly kind: 'sandwire' | 'sandbox2';
  /** 0: it sent none and uses the legacy form. */
  readonly version: number;
}

const versionForm = /^([0-9a-f]{64})?(?:V([1-9][0-9]{0,8}))?$/;
/** No version message needs to be longer. */
const versionLimit = 4096;

function parseVersion(text: string): HandshakePeer {
  const match = versionForm.exec(text);
  if (match === null || text === '') {
    throw new CommsError('INVALID_VALUE', `the version ${JSON.stringify(text.slice(0, 100))} is malformed`, {
      operation: 'sandboxMeHere handshake',
      peer: 'the sandboxee',
    });
  }
  return {
    kind: match[1] === WireName.VERSION_IDENTITY ? 'sandwire' : 'sandbox2',
    version: Number(match[2] ?? 0),
  };
}

async function sendConfig(comms: Comms, config: HandshakeConfig): Promise<void> {
  const message = encodeMessage('SandboxingConfig', {
    cwd: config.cwd,
    policyBytes: config.policyBytes,
    fdMappings: config.mappings.map(({ requestedFd, name }) => ({ requestedFd, name })),
  });
  await Promise.all([comms.sendProtobufBytes(message), ...config.mappings.map(({ fd }) => comms.sendFd(fd))]);
}

async function sendLegacyConfig(comms: Comms, config: HandshakeConfig): Promise<void> {
  const sent = [comms.sendUint32(config.mappings.length)];
  for (const { fd, requestedFd, name } of config.mappings) {
    sent.push(comms.sendInt32(requestedFd), comms.sendFd(fd), comms.sendString(name));
  }
  sent.push(comms.sendString(config.cwd));
  await Promise.all(sent);
}

function checkReady(ready: number): void {
  if (ready === Handshake.CLIENT_READY) return;
  throw new CommsError('INVALID_VALUE', `0x${ready.toString(16)} came where "ready" was expected`, {
    operation: 'sandboxMeHere handshake',
    peer: 'the sandboxee',
    metTag: Tag.Uint32,
  });
}

function go(config: HandshakeConfig): number {
  const speculation = config.allowSpeculation ? Handshake.ALLOW_SPECULATION_BIT : 0;
  return ((config.goFlag ?? Handshake.GO_UNOTIFY) | speculation) >>> 0;
}

async function sendToOwnPeer(comms: Comms, config: HandshakeConfig): Promise<void> {
  await Promise.all([
    comms.sendVersion(`V${Handshake.VERSION}`),
    sendConfig(comms, config),
    comms.sendNoUpgrade(),
    comms.sendUint32(go(config)),
  ]);
}

async function receiveFromOwnPeer(comms: Comms): Promise<HandshakePeer> {
  const peer = parseVersion(await comms.recvVersion());
  if (peer.kind !== 'sandwire' || peer.version < Handshake.VERSION) {
    throw new CommsError(
      'INVALID_VALUE',
      'the child of a sandwire fork server sent a version that is not sandwire’s own',
      {
        operation: 'sandboxMeHere handshake',
        peer: 'the sandboxee',
      },
    );
  }
  checkReady(await comms.recvUint32());
  return peer;
}

/**
 * Resolves when the sandboxee has been told to go on. The supervisor watches a C++ sandboxee by then. Rejects with
 * CommsError.
 */
export async function performHostHandshake(
  comms: Comms,
  config: HandshakeConfig,
  hooks: HandshakeHooks,
): Promise<HandshakePeer> {
  const usualLimit = comms.payloadLimit;
  comms.payloadLimit = versionLimit;
  try {
    if (config.isOwnPeer)
      return (await Promise.all([receiveFromOwnPeer(comms), sendToOwnPeer(comms, config)]))[0];
    const peer = parseVersion(await comms.recvVersion());
    const versioned = peer.version >= Handshake.VERSION;
    if (peer.version > 0) await comms.sendVersion(`V${Handshake.VERSION}`);
    await (versioned ? sendConfig(comms, config) : sendLegacyConfig(comms, config));
    await comms.sendNoUpgrade();
    if (!versioned) await comms.sendBytes(config.policyBytes);
    checkReady(await comms.recvUint32());
    await comms.sendUint32(go(config));
    if (peer.kind === 'sandbox2' && (config.goFlag ?? Handshake.GO_UNOTIFY) === Handshake.GO_UNOTIFY) {
      await hooks.attachListener(await comms.recvFd());
      await comms.sendUint32(Handshake.LIMITS_APPLIED);
    }
    return peer;
  } finally {
    comms.payloadLimit = usualLimit;
  }
}
