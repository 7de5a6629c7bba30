// What callers pass, looked at before anything is sent or awaited: not all of them have a compiler that does.
import { isUint8Array } from 'node:util/types';

/** "string", "null", "Float64Array": for an error that says what was met. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
}

/** A number itself; of what is none, its kind. */
export const numberOrKind = (value: unknown): string =>
  typeof value === 'number' ? String(value) : kindOf(value);

/** The same error about an argument, with the call it was for. */
export function namedError(operation: string, error: unknown): unknown {
  if (error instanceof RangeError) return new RangeError(`${operation}: ${error.message}`);
  return error instanceof TypeError ? new TypeError(`${operation}: ${error.message}`) : error;
}

/** Throws TypeError. */
export function checkKind(value: unknown, kind: 'string' | 'boolean' | 'bigint'): void {
  if (typeof value !== kind) throw new TypeError(`a ${kind} is needed, not ${kindOf(value)}`);
}

/** A TypeError for what is no Uint8Array, of whichever realm. */
export function refusalOfBytes(operation: string, bytes: Uint8Array): TypeError | undefined {
  if (bytes instanceof Uint8Array || isUint8Array(bytes)) return undefined;
  return new TypeError(`${operation}: a Uint8Array is needed, not ${kindOf(bytes)}`);
}

/** Throws TypeError for what is no AbortSignal, of whichever realm. */
export function checkSignal(operation: string, signal: unknown): void {
  const { aborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function') return;
  throw new TypeError(`${operation}: signal is an AbortSignal, not ${kindOf(signal)}`);
}

/** Has a wrong argument told as every failure is: by the promise. */
export function promised<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(error);
  }
}
