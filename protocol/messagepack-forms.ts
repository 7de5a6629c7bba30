// Which JavaScript values can be sent as MessagePack. All others are refused with an error before anything is encoded,
// because they would arrive as something else: a function as undefined, an instance of a class without its class.
import { depthLimit } from './messagepack-decode.js';

/** A value that cannot be sent, and where it is: ".list[3]". */
interface Unsendable {
  readonly where: string;
  readonly what: string;
}

const leafTypes = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ...[ArrayBuffer, DataView, Date, Buffer],
];
/** Prototypes of objects that contain no other values. */
const leaves: ReadonlySet<unknown> = new Set(leafTypes.map(({ prototype }) => prototype));

/** True for Object.prototype, of any context. */
const isRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');

const isPlain = (prototype: object | null): boolean =>
  prototype === Object.prototype || prototype === null || isRoot(prototype);

/** True for Array.prototype of any context, but not for a class that extends it. */
const isArray = (prototype: object | null): boolean =>
  prototype === Array.prototype ||
  (prototype !== null && isRoot(Object.getPrototypeOf(prototype) ?? prototype));

/** Throws a TypeError that says what cannot be sent, and where it is. */
export function checkForm(value: unknown): void {
  const unsendable = findUnsendable(value, 1);
  if (unsendable === undefined) return;
  const { where, what } = unsendable;
  throw new TypeError(`${what} cannot be sent as a structured value${where === '' ? '' : ` (at ${where})`}`);
}

function findUnsendable(value: unknown, depth: number): Unsendable | undefined {
  if (typeof value === 'function' || typeof value === 'symbol')
    return { where: '', what: `a ${typeof value}` };
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (leaves.has(prototype)) return undefined;
  if (depth > depthLimit)
    return { where: '', what: `a value nested deeper than ${depthLimit}, or inside itself,` };
  if (isPlain(prototype)) return inObject(value as Record<string, unknown>, depth);
  if (Array.isArray(value) && isArray(prototype)) return inList(value, depth);
  if (prototype === Map.prototype) return inMap(value as Map<unknown, unknown>, depth);
  if (prototype === Set.prototype) return inList([...(value as Set<unknown>)], depth);
  const { name } = value.constructor ?? {};
  return { where: '', what: typeof name === 'string' && name !== '' ? `a ${name}` : 'an object of a class' };
}

const within = (place: string, inner: Unsendable | undefined): Unsendable | undefined =>
  inner && { where: place + inner.where, what: inner.what };

function inObject(object: Record<string, unknown>, depth: number): Unsendable | undefined {
  for (const key of Object.keys(object)) {
    // msgpackr uses this name for notes of its own, and would confuse the two.
    if (key === '__keys__') return { where: '', what: 'an object with the key "__keys__"' };
    const value = object[key];
    const unsendable = findUnsendable(value, depth + 1);
    if (unsendable !== undefined) return within(`.${key}`, unsendable);
  }
  return undefined;
}

function inList(list: readonly unknown[], depth: number): Unsendable | undefined {
  for (let i = 0; i < list.length; i++) {
    const unsendable = findUnsendable(list[i], depth + 1);
    if (unsendable !== undefined) return within(`[${i}]`, unsendable);
  }
  return undefined;
}

function inMap(map: Map<unknown, unknown>, depth: number): Unsendable | undefined {
  for (const [key, value] of map) {
    const unsendable = findUnsendable(key, depth + 1) ?? findUnsendable(value, depth + 1);
    if (unsendable !== undefined)
      return within(`.get(${typeof key === 'object' ? '…' : String(key)})`, unsendable);
  }
  return undefined;
}
