// Waiting with a limit.
import { deferred } from './deferred.js';

/** 0: never. A timer of Node's holds no more than 2^31-1 ms. */
export function timer(milliseconds: number): { readonly due: Promise<void>; readonly clear: () => void } {
  if (milliseconds === 0) return { due: new Promise(() => {}), clear: () => {} };
  const { promise, resolve } = deferred<void>();
  const timeout = setTimeout(resolve, Math.min(milliseconds, 2 ** 31 - 1));
  return { due: promise, clear: () => clearTimeout(timeout) };
}
