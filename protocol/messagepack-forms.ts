// Which JavaScript values have a form in MessagePack. All others are refused with words before anything is encoded, since
// they would arrive as something else: a function as undefined, an instance of a class without its class.
import { depthLimit } from './messagepack-decode.js';

/** What has no form, and where: ".list[3]". */
interface Formless {
  readonly where: string;
  readonly what: string;
}

const leafTypes = [
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ...[ArrayBuffer, DataView, Date, Buffer],
];
/** Prototypes of what has nothing inside. */
const leaves: ReadonlySet<unknown> = new Set(leafTypes.map(({ prototype }) => prototype));

/** Object.prototype, of whatever context. */
const isRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');

const isPlain = (prototype: object | null): boolean =>
  prototype === Object.prototype || prototype === null || isRoot(prototype);

/** Whether it is the array of its context, and of no class that extends it. */
const isArray = (prototype: object | null): boolean =>
  prototype === Array.prototype ||
  (prototype !== null && isRoot(Object.getPrototypeOf(prototype) ?? prototype));

/** TypeError that says what has no form, and where it stands. */
export function checkForm(value: unknown): void {
  const formless = findFormless(value, 1);
  if (formless === undefined) return;
  const { where, what } = formless;
  throw new TypeError(`${what} cannot be sent as a structured value${where === '' ? '' : ` (at ${where})`}`);
}

function findFormless(value: unknown, depth: number): Formless | undefined {
  if (typeof value === 'function' || typeof value === 'symbol')
    return { where: '', what: `a ${typeof value}` };
  if (typeof value !== 'object' || value === null) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (leaves.has(prototype)) return undefined;
  if (depth > depthLimit) return { where: '', what: `what lies deeper than ${depthLimit}, or in itself,` };
  if (isPlain(prototype)) return inObject(value as Record<string, unknown>, depth);
  if (Array.isArray(value) && isArray(prototype)) return inList(value, depth);
  if (prototype === Map.prototype) return inMap(value as Map<unknown, unknown>, depth);
  if (prototype === Set.prototype) return inList([...(value as Set<unknown>)], depth);
  const { name } = value.constructor ?? {};
  return { where: '', what: typeof name === 'string' && name !== '' ? `a ${name}` : 'an object of a class' };
}

const within = (place: string, inner: Formless | undefined): Formless | undefined =>
  inner && { where: place + inner.where, what: inner.what };

function inObject(object: Record<string, unknown>, depth: number): Formless | undefined {
  for (const key of Object.keys(object)) {
    // msgpackr keeps its own notes under this name, and takes the one for the other.
    if (key === '__keys__') return { where: '', what: 'an object with the key "__keys__"' };
    const value = object[key];
    const formless = findFormless(value, depth + 1);
    if (formless !== undefined) return within(`.${key}`, formless);
  }
  return undefined;
}

function inList(list: readonly unknown[], depth: number): Formless | undefined {
  for (let i = 0; i < list.length; i++) {
    const formless = findFormless(list[i], depth + 1);
    if (formless !== undefined) return within(`[${i}]`, formless);
  }
  return undefined;
}

function inMap(map: Map<unknown, unknown>, depth: number): Formless | undefined {
  for (const [key, value] of map) {
    const formless = findFormless(key, depth + 1) ?? findFormless(value, depth + 1);
    if (formless !== undefined)
      return within(`.get(${typeof key === 'object' ? '…' : String(key)})`, formless);
  }
  return undefined;
}
