// What a receive wants, and what it may say against what it gets.
import { checkSignal } from './arguments.js';
import type { CommsErrorCode } from './errors.js';
import { checkOptions } from './options.js';
import type { Credentials } from './transport.js';

export interface ReceiveOptions {
  /** Gives up with TIMEOUT after so many milliseconds; the message, when it comes, is the next call's. */
  readonly timeoutMs?: number | undefined;
  /** Gives up with ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export interface SyncReceiveOptions {
  /** Gives up with TIMEOUT after so many milliseconds; the message, when it comes, is the next call's. */
  readonly timeoutMs?: number | undefined;
}

/** A message that is there. */
export interface ReceivedMessage {
  readonly tag: number;
  /** The payload is bytes[start, start + length), which is only good until more is received … */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  /** … unless this is so: then it is all of bytes, and the taker's from now on. */
  readonly isOwn: boolean;
  /** The payload stands at the beginning of the target that was given for it. */
  readonly isInTarget: boolean;
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
  /** Where a payload that fits may be received to directly; a message with this tag only. */
  readonly target?: Uint8Array | undefined;
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
export function ownBytes({ bytes, start, length, isOwn }: ReceivedMessage): Uint8Array {
  return isOwn ? bytes : bytes.slice(start, start + length);
}

/** The payload, to look at now. */
export function viewOf({ bytes, start, length }: ReceivedMessage): Uint8Array {
  return bytes.subarray(start, start + length);
}

/** Longest wait a timer can be set to; some 24 days. */
const longestWaitMs = 2 ** 31 - 1;

/** Milliseconds to wait; -1: without limit. Throws RangeError for what is no time, TypeError for what else is wrong. */
export function waitMs(operation: string, options: ReceiveOptions | undefined): number {
  if (options === undefined) return -1;
  checkOptions(operation, options, ['timeoutMs', 'signal']);
  if (options.signal !== undefined) checkSignal(operation, options.signal);
  return toWaitMs(operation, options.timeoutMs);
}

/** The same for a call that waits where it stands, which no signal can reach. */
export function waitSyncMs(operation: string, options: SyncReceiveOptions | undefined): number {
  if (options === undefined) return -1;
  checkOptions(operation, options, ['timeoutMs']);
  return toWaitMs(operation, options.timeoutMs);
}

function toWaitMs(operation: string, timeoutMs: number | undefined): number {
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return -1;
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
    throw new RangeError(`${operation}: timeoutMs is milliseconds from 0 on, not ${timeoutMs}`);
  }
  return Math.min(Math.ceil(timeoutMs), longestWaitMs);
}
