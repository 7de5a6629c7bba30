// Sockets for a sandboxee that cannot be made because namespaces cannot.
import { SetupStep } from '../protocol/messages.generated.js';
import { errorCode } from './errno.js';
import { describeSetupFailure, type SetupFailure } from './setup-failure.js';

/** An error of the addon. */
export interface SystemError extends Error {
  readonly errno: number;
}

/** Errors of clone(2) that mean: namespaces are forbidden, or their limit is reached. */
const refusals: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'EACCES',
  'EINVAL',
  'ENOSYS',
  'ENOSPC',
  'EUSERS',
]);

export function isNamespaceFailure(error: unknown): error is SystemError {
  return refusals.has(errorCode(error)) && typeof (error as SystemError).errno === 'number';
}

/** The same words as for a failure that the supervisor reports. */
export function describeNamespaceFailure({ errno }: SystemError): SetupFailure {
  return describeSetupFailure(SetupStep.STEP_NAMESPACES, errno, 'a network for the sandboxee’s sockets', {
    interpreter: undefined,
    program: '',
    asRoot: process.geteuid?.() === 0,
  });
}
