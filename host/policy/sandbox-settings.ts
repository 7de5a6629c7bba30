// The sandbox settings: what a policy says besides syscalls and files.
import { PolicyError } from './errors.js';
import { shown } from './quoting.js';

/** When stack traces are taken; the names are those of the builder's collectStacktracesOn… */
export interface StackTraces {
  readonly onViolation: boolean;
  readonly onSignal: boolean;
  readonly onTimeout: boolean;
  readonly onKill: boolean;
  readonly onExit: boolean;
  /** Of all threads, and not only of the relevant one. */
  readonly allThreads: boolean;
}

export const defaultStackTraces: StackTraces = {
  onViolation: true,
  onSignal: true,
  onTimeout: true,
  onKill: false,
  onExit: false,
  allThreads: false,
};

export type Networking = 'private' | 'unrestricted' | 'forkServerShared';

const hostnameForm = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?$/;

/** Throws PolicyError. */
export function checkHostname(method: string, hostname: unknown): asserts hostname is string {
  if (typeof hostname !== 'string' || !hostnameForm.test(hostname)) {
    throw new PolicyError(
      method,
      `${shown(hostname)} is not a host name of 1 to 64 letters, digits, "-" and "."`,
    );
  }
}
