// A socket for a sandboxee that could not be made, since no namespaces can.
import { SetupStep } from '../protocol/messages.generated.js';
import { errorCode } from './errno.js';
import { describeSetupFailure, type SetupFailure } from './setup-failure.js';

/** Of the addon's. */
export interface SystemError extends Error {
  readonly errno: number;
}

/** Those of clone(2) and setns(2) that say that it is forbidden, or that there are as many namespaces as may be. */
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

/** As the supervisor would report it. */
export function describeNamespaceFailure({ errno }: SystemError): SetupFailure {
  return describeSetupFailure(SetupStep.STEP_NAMESPACES, errno, 'a network for the sandboxee’s sockets', {
    interpreter: undefined,
    program: '',
    asRoot: process.geteuid?.() === 0,
  });
}
