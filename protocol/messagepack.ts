// Structured values as MessagePack, by msgpackr. Every value is decodable by itself: shapes of records are written
// with the value that uses them and are never remembered from one to the next.
// "msgpackr/pack" is the pure JavaScript one, without the optional native addon.
import { Packr } from 'msgpackr/pack';

const options = { useRecords: true, moreTypes: true, int64AsType: 'auto', copyBuffers: true } as const;

// Without `structures` msgpackr writes each value's record definitions with it; a fresh decoder for each value keeps
// what one peer defined away from what another sends.
const packr = new Packr(options);

/**
 * Map, Set, Date, BigInt and typed arrays keep their types. Functions become undefined, objects of other classes plain ones
 * with their own properties. Throws for a symbol.
 */
export function encodeValue(value: unknown): Uint8Array {
  return packr.pack(value).slice();
}

/** Throws an Error for bytes that are not exactly one value. Object keys are own properties, "__proto__" is none. */
export function decodeValue(bytes: Uint8Array): unknown {
  return new Packr(options).unpack(bytes);
}
