// Structured values as MessagePack. msgpackr encodes; decoding is our own, since the bytes may be a hostile peer's. Every
// value is decodable by itself: shapes of records are written with the value that uses them and are never remembered from
// one to the next.
// "msgpackr/pack" is the pure JavaScript one, without the optional native addon.
import { Packr } from 'msgpackr/pack';
import type { Clock } from './insertion-watch.js';
import { ValueDecoder } from './messagepack-decode.js';
import { checkForm } from './messagepack-forms.js';
import { BadPayload } from './receiving.js';

// Without `structures` msgpackr writes each value's record definitions with it.
const packr = new Packr({ useRecords: true, moreTypes: true, useToJSON: false });

/** How many values a structured value may hold unless it is said otherwise. */
export const defaultValueLimit = 1 << 20;

/** Node 20 cannot tell the work of one thread. */
const cpuUsage: () => NodeJS.CpuUsage =
  (process as { threadCpuUsage?: () => NodeJS.CpuUsage }).threadCpuUsage ?? process.cpuUsage;

const clock: Clock = () => {
  const { user, system } = cpuUsage();
  return { cpuUs: user + system, wallUs: performance.now() * 1000 };
};

/**
 * What arrives as it was: null, undefined, booleans, numbers, BigInts, strings, arrays, plain objects, Map, Set, Date, typed
 * arrays, ArrayBuffer and DataView; and as nearly the same: a Buffer as a Uint8Array, -0 as 0, holes of an array as
 * undefined, an object without prototype with one, halves of surrogate pairs as U+FFFD. TypeError for all else – functions,
 * symbols, instances of classes, Error and RegExp among them – and for what lies in itself or deeper than 512.
 */
export function encodeValue(value: unknown): Uint8Array {
  checkForm(value);
  return packr.pack(value).slice();
}

/**
 * The value, of which nothing is in the bytes' memory. Throws an Error for bytes that are not exactly one value in the forms
 * of PROTOCOL.md, and for more than valueLimit values, those inside of others and keys included.
 */
export function decodeValue(bytes: Uint8Array, valueLimit = defaultValueLimit): unknown {
  try {
    return new ValueDecoder(bytes, valueLimit, clock).decode();
  } catch (error) {
    if (error instanceof BadPayload) throw error;
    // What JavaScript itself cannot do: a string longer than V8 allows, no stack left.
    const why = error instanceof Error ? error.message : String(error);
    throw new BadPayload('INVALID_VALUE', `not a MessagePack value that can be taken here: ${why}`);
  }
}
