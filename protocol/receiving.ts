// What a receive wants, and what it may say against what it gets.
import type { CommsErrorCode } from './errors.js';
import type { Credentials } from './transport.js';

export interface ReceiveOptions {
  /** Gives up with TIMEOUT after so many milliseconds; the message, when it comes, is the next call's. */
  readonly timeoutMs?: number | undefined;
  /** Gives up with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** A message that is there. payload may be a view that is only good until more is received. */
export interface ReceivedMessage {
  readonly tag: number;
  readonly payload: Uint8Array;
  /** The payload is memory of its own, the taker's from now on. */
  readonly isOwn: boolean;
  /** Of an Fd message; otherwise -1. */
  readonly fd: number;
  /** Of a Creds message whose writer is known. */
  readonly credentials: Credentials | undefined;
}

export interface Receiving<T> {
  /** The call, for errors. */
  readonly operation: string;
  /** undefined: any. */
  readonly tag: number | undefined;
  /** Throws BadPayload, and the message stays unread. undefined: only the tag is wanted, and the message stays. */
  readonly decode: ((message: ReceivedMessage) => T) | undefined;
}

/** A payload that does not make the value asked for. */
export class BadPayload extends Error {
  constructor(
    readonly code: CommsErrorCode,
    why: string,
  ) {
    super(why);
  }
}

/** The payload, to keep. */
export function ownBytes({ payload, isOwn }: ReceivedMessage): Uint8Array {
  return isOwn ? payload : payload.slice();
}

/** Longest wait a timer can be set to; some 24 days. */
const longestWaitMs = 2 ** 31 - 1;

/** Milliseconds to wait; -1: without limit. Throws RangeError for what is no time. */
export function waitMs(timeoutMs: number | undefined): number {
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return -1;
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs: milliseconds from 0 on, not ${timeoutMs}`);
  return Math.min(Math.ceil(timeoutMs), longestWaitMs);
}
