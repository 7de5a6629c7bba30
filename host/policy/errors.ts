import { printable } from './quoting.js';

/** A policy that is not possible: which method (of PolicyBuilder, if no class is named), which argument, why. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly method: string;
  /** The message without the method. */
  readonly reason: string;

  constructor(method: string, why: string) {
    const reason = printable(why);
    super(`${method.includes('.') ? '' : 'PolicyBuilder.'}${method}: ${reason}`);
    this.method = method;
    this.reason = reason;
  }
}
