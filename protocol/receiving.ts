// What a receive waits for, and how it refuses what came.
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

/** A message that has arrived. */
export interface ReceivedMessage {
  readonly tag: number;
  /** The payload is bytes[start, start + length). It is valid only until more is received … */
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  /** … unless isOwn is true: then bytes is exactly the payload, and the receiver owns it. */
  readonly isOwn: boolean;
  /** True if the payload is at the beginning of the target that the receive offered. */
  readonly isInTarget: boolean;
  /** Of an Fd message; otherwise -1. */
  readonly fd: number;
  /** Who wrote the message: only for a Creds message whose writer is known. */
  readonly credentials: Credentials | undefined;
}

export interface Receiving<T> {
  /** The call, for errors. */
  readonly operation: string;
  /** undefined: any tag. */
  readonly tag: number | undefined;
  /** Throws BadPayload to leave the message unread. undefined: only the tag is wanted, and the message stays. */
  readonly decode: ((message: ReceivedMessage) => T) | undefined;
  /** Memory into which a payload that fits may be received directly, if the message has this tag. */
  readonly target?: Uint8Array | undefined;
}

/** The payload is not a value of the type that was asked for. */
export class BadPayload extends Error {
  constructor(
    readonly code: CommsErrorCode,
    why: string,
  ) {
    super(why);
  }
}

/** The payload, as memory that the caller may keep. */
export function ownBytes({ bytes, start, length, isOwn }: ReceivedMessage): Uint8Array {
  return isOwn ? bytes : bytes.slice(start, start + length);
}

/** The payload, valid only until more is received. */
export function viewOf({ bytes, start, length }: ReceivedMessage): Uint8Array {
  return bytes.subarray(start, start + length);
}

/** The longest wait that a timer can be set to; some 24 days. */
const longestWaitMs = 2 ** 31 - 1;

/** Milliseconds to wait; -1: no limit. Throws RangeError for an invalid time and TypeError for any other mistake. */
export function waitMs(operation: string, options: ReceiveOptions | undefined): number {
  if (options === undefined) return -1;
  checkOptions(operation, options, ['timeoutMs', 'signal']);
  if (options.signal !== undefined) checkSignal(operation, options.signal);
  return toWaitMs(operation, options.timeoutMs);
}

/** The same for a synchronous call, which no signal can reach. */
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
