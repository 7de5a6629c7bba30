// The one error class of the channel.
import { type CommsErrorNumber, Tag } from './wire.generated.js';

export type CommsErrorCode = keyof typeof CommsErrorNumber;

const tagNames = new Map<number, string>(Object.entries(Tag).map(([name, tag]) => [tag, name]));

/** "Uint32" for a tag of the protocol, "0x00001234" for any other. */
export function tagName(tag: number): string {
  return tagNames.get(tag) ?? `0x${tag.toString(16).padStart(8, '0')}`;
}

export interface CommsErrorFields {
  readonly operation: string;
  readonly peer: string;
  readonly expectedTag?: number | undefined;
  readonly metTag?: number | undefined;
  readonly cause?: unknown;
}

/** A call on a channel failed: which call, with which peer, and why. */
export class CommsError extends Error {
  override readonly name = 'CommsError';
  readonly code: CommsErrorCode;
  /** The call that failed, "recvUint32" for example. */
  readonly operation: string;
  /** The name of the channel's other end. */
  readonly peer: string;
  /** The names of the tags, if the code is TAG_MISMATCH. */
  readonly expectedTag: string | undefined;
  readonly metTag: string | undefined;

  constructor(code: CommsErrorCode, why: string, fields: CommsErrorFields) {
    super(`${fields.operation} on ${fields.peer}: ${why} (${code})`, { cause: fields.cause });
    this.code = code;
    this.operation = fields.operation;
    this.peer = fields.peer;
    this.expectedTag = fields.expectedTag === undefined ? undefined : tagName(fields.expectedTag);
    this.metTag = fields.metTag === undefined ? undefined : tagName(fields.metTag);
  }
}
