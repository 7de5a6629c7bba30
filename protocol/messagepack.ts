// Structured values as MessagePack. msgpackr encodes; the decoder is our own, because the bytes may come from a hostile
// peer. Every value can be decoded by itself: the shapes of its records are written with it and never remembered for
// the next value. "msgpackr/pack" is the pure JavaScript version, without the optional native addon.
import { Packr } from 'msgpackr/pack';
import type { Clock } from './collision-guard.js';
import { ValueDecoder } from './messagepack-decode.js';
import { checkForm } from './messagepack-forms.js';
import { BadPayload } from './receiving.js';

// Without `structures` msgpackr writes the record definitions of each value into it.
const packr = new Packr({ useRecords: true, moreTypes: true, useToJSON: false });

/** The default limit on how many values a structured value may hold. */
export const defaultValueLimit = 1 << 20;

/** Node 20 cannot measure the CPU time of a single thread. */
const cpuUsage: () => NodeJS.CpuUsage =
  (process as { threadCpuUsage?: () => NodeJS.CpuUsage }).threadCpuUsage ?? process.cpuUsage;

const clock: Clock = () => {
  const { user, system } = cpuUsage();
  return { cpuUs: user + system, wallUs: performance.now() * 1000 };
};

/**
 * Encodes a value. These arrive unchanged: null, undefined, booleans, numbers, BigInts, strings, arrays, plain objects,
 * Map, Set, Date, typed arrays, ArrayBuffer and DataView. These arrive slightly changed: a Buffer as a Uint8Array, -0
 * as 0, holes of an array as undefined, an object without prototype with one, halves of surrogate pairs as U+FFFD.
 * Everything else is a TypeError – functions, symbols, instances of classes, Error and RegExp among them – and so is a
 * value that contains itself or is nested deeper than 512.
 */
export function encodeValue(value: unknown): Uint8Array {
  checkForm(value);
  return packr.pack(value).slice();
}

/**
 * Decodes a value, which shares no memory with the bytes. Throws an Error for bytes that are not exactly one value in
 * the forms of PROTOCOL.md, and for more than valueLimit values, nested values and keys included.
 */
export function decodeValue(bytes: Uint8Array, valueLimit = defaultValueLimit): unknown {
  try {
    return new ValueDecoder(bytes, valueLimit, clock).decode();
  } catch (error) {
    if (error instanceof BadPayload) throw error;
    // A limit of JavaScript itself: a string longer than V8 allows, or no stack left.
    const why = error instanceof Error ? error.message : String(error);
    throw new BadPayload('INVALID_VALUE', `not a MessagePack value that can be decoded here: ${why}`);
  }
}
