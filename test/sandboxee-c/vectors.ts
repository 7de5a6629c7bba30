// The golden vectors as lines for sandboxee-c/test/vectors_test.c.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bigIntegerTypes, integerTypes } from '../../protocol/index.js';
import { root } from './build.js';

interface Vector {
  readonly send: string;
  readonly value: unknown;
  readonly fds: number;
  readonly bytes: string;
}

const headerHexDigits = 24;

/** The vectors of protocol/vectors.json. */
export function readVectors(): Vector[] {
  return JSON.parse(readFileSync(join(root, 'protocol', 'vectors.json'), 'utf8')) as Vector[];
}

const kindsOfC = new Set([
  ...Object.keys(integerTypes),
  ...Object.keys(bigIntegerTypes),
  ...['Bool', 'String', 'Bytes', 'Barrier', 'FD', 'Creds', 'TLV', 'Status', 'Proto', 'MessagePack'],
]);

/** "<kind> <argument> <bytes>". A type without a call of its own in C is checked as a TLV. */
export function toLine(vector: Vector): string {
  if (kindsOfC.has(vector.send)) return `${vector.send} ${argumentOf(vector)} ${vector.bytes}`;
  const tag = Buffer.from(vector.bytes.slice(0, 8), 'hex').readUInt32LE();
  return `TLV ${tag}:${hexOr(vector.bytes.slice(headerHexDigits))} ${vector.bytes}`;
}

function argumentOf(vector: Vector): string {
  const { send, value, bytes } = vector;
  const payload = bytes.slice(headerHexDigits) || '-';
  switch (send) {
    case 'Bool':
      return value === true ? '1' : '0';
    case 'String':
      return hexOr(Buffer.from(String(value), 'utf8').toString('hex'));
    case 'Bytes':
      return hexOr(bytesOf(String(value)));
    case 'Barrier':
    case 'FD':
    case 'Creds':
      return '-';
    case 'TLV': {
      const { tag, payload: content } = value as { tag: number; payload: string };
      return `${tag}:${hexOr(content)}`;
    }
    case 'Status': {
      const { code, message } = value as { code: number; message: string };
      return `${code}:${hexOr(Buffer.from(message, 'utf8').toString('hex'))}`;
    }
    case 'Proto':
    case 'MessagePack':
      return payload; // in C the caller passes the serialized form
    default:
      return String(value);
  }
}

function hexOr(hex: string): string {
  return hex || '-';
}

/** Bytes are written as hex, or as "41 x 1012": one byte and how often it is repeated. */
function bytesOf(text: string): string {
  const repeated = /^([0-9a-f]{2}) x (\d+)$/.exec(text);
  return repeated ? (repeated[1] ?? '').repeat(Number(repeated[2])) : text;
}
