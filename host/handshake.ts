// The host's half of sandboxMeHere; its failures become messages.
import type { Comms } from '../protocol/index.js';
import { CommsError, performHostHandshake } from '../protocol/index.js';
import type { FdMapping } from './ipc.js';
import type { Policy } from './policy/index.js';

export type HandshakeOutcome =
  | { readonly ok: true }
  /** isGone: the channel's other end was closed, so most likely the sandboxee is ending by itself. */
  | { readonly ok: false; readonly message: string; readonly isGone: boolean };

function failureOf(error: unknown): string {
  if (error instanceof CommsError && error.code === 'TAG_MISMATCH' && error.expectedTag === 'Version') {
    return `it sent a message (${error.metTag}) before sandboxMeHere(); call that first`;
  }
  return error instanceof Error ? error.message : String(error);
}

/**
 * Never rejects. isOwnPeer: the sandboxee is known to be sandwire's. attachListener takes the listener of a sandboxee
 * that sends it over comms (a C++ one).
 */
export async function performHandshake(
  comms: Comms,
  policy: Policy,
  cwd: string,
  mappings: readonly FdMapping[],
  isOwnPeer: boolean,
  attachListener: (listener: number) => Promise<void>,
): Promise<HandshakeOutcome> {
  try {
    await performHostHandshake(
      comms,
      {
        policyBytes: policy.program,
        cwd,
        mappings: mappings.map(({ fd, remoteFd, name }) => ({ fd, requestedFd: remoteFd, name })),
        allowSpeculation: policy.allowSpeculation,
        isOwnPeer,
      },
      { attachListener },
    );
    return { ok: true };
  } catch (error) {
    const isGone = error instanceof CommsError && (error.code === 'CLOSED' || error.code === 'TRUNCATED');
    return { ok: false, message: failureOf(error), isGone };
  }
}
