// Checks what callers pass before anything is sent or awaited: in plain JavaScript no compiler has checked it.
import { isUint8Array } from 'node:util/types';

/** "string", "null", "Float64Array": what an error message says was passed. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
}

/** A number as text; for anything else its kind. */
export const numberOrKind = (value: unknown): string =>
  typeof value === 'number' ? String(value) : kindOf(value);

/** The same error, with the name of the call that the argument was for. */
export function namedError(operation: string, error: unknown): unknown {
  if (error instanceof RangeError) return new RangeError(`${operation}: ${error.message}`);
  return error instanceof TypeError ? new TypeError(`${operation}: ${error.message}`) : error;
}

/** Throws TypeError. */
export function checkKind(value: unknown, kind: 'string' | 'boolean' | 'bigint'): void {
  if (typeof value !== kind) throw new TypeError(`a ${kind} is needed, not ${kindOf(value)}`);
}

/** A TypeError if bytes is not a Uint8Array. One of another realm is accepted. */
export function refusalOfBytes(operation: string, bytes: Uint8Array): TypeError | undefined {
  if (bytes instanceof Uint8Array || isUint8Array(bytes)) return undefined;
  return new TypeError(`${operation}: a Uint8Array is needed, not ${kindOf(bytes)}`);
}

/** Throws TypeError if signal is not an AbortSignal. One of another realm is accepted. */
export function checkSignal(operation: string, signal: unknown): void {
  const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return;
  throw new TypeError(`${operation}: signal is an AbortSignal, not ${kindOf(signal)}`);
}

/** Turns an exception for a wrong argument into a rejection, so that every failure arrives by the promise. */
export function promised<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}
