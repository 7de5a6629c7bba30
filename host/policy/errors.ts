/** A policy that cannot be: which builder method, which argument, why. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
  readonly method: string;

  constructor(method: string, why: string) {
    super(`PolicyBuilder.${method}: ${why}`);
    this.method = method;
  }
}
