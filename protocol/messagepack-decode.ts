// Decodes a structured value from MessagePack bytes that a hostile peer may have written. Only the forms of PROTOCOL.md
// are accepted. Values are counted before memory is allocated for them, and nothing in the bytes refers to another
// place in them, so the decoded value is no larger than the bytes justify.
import { type Clock, CollisionGuard } from './collision-guard.js';
import { bigIntOf, dateOf, Extension, typedArrayOf } from './messagepack-extensions.js';
import { TextReader } from './messagepack-text.js';
import { BadPayload } from './receiving.js';

/** How deep values may be nested; the outermost is at depth 1. */
export const depthLimit = 512;

/** Arrays up to this length are allocated at their full length at once. */
const longestAhead = 1 << 16;

/** Bytes that begin a record, or are an integer if no record with that number was defined. */
const [firstRecord, afterRecords] = [0x40, 0x80];

/** How a plain object's properties are created. */
interface Shape {
  readonly keys: readonly string[];
  /**
   * True if plain assignment is safe. It is not for "__proto__", which an assignment does not make a property, nor for
   * a large index, for which V8 would allocate room for all smaller ones.
   */
  readonly isAssignable: boolean;
}

const property = { writable: true, enumerable: true, configurable: true };

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const indexPattern = /^(?:0|[1-9]\d{0,9})$/;

function shapeOf(keys: readonly string[]): Shape {
  let isAssignable = true;
  let indices = 0;
  let greatest = 0;
  for (const key of keys) {
    if (key === '__proto__') isAssignable = false;
    if (!isDigit(key.charCodeAt(0)) || !indexPattern.test(key)) continue;
    indices++;
    greatest = Math.max(greatest, Number(key));
  }
  // V8 keeps indices as elements of an array, with room for all up to the greatest: 12 KiB for {1023: 0}.
  const isSparse = greatest > 16 + 4 * indices;
  return { keys, isAssignable: isAssignable && !isSparse };
}

/** Decodes one value from bytes that hold nothing else. Use it once. */
export class ValueDecoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #text: TextReader;
  readonly #guard: CollisionGuard;
  readonly #valueLimit: number;
  readonly #shapes: Shape[] = [];
  #at = 0;
  #depth = 0;
  #count = 0;

  constructor(bytes: Uint8Array, valueLimit: number, clock: Clock) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#text = new TextReader(bytes, this.#view);
    this.#guard = new CollisionGuard(clock, bytes.length);
    this.#valueLimit = valueLimit;
  }

  /** Throws BadPayload, TOO_LARGE or INVALID_VALUE. */
  decode(): unknown {
    this.#claim(1);
    const value = this.#value();
    const rest = this.#bytes.length - this.#at;
    if (rest > 0) throw this.#bad(`${rest} bytes follow the value`);
    return value;
  }

  #bad(why: string): BadPayload {
    return new BadPayload('INVALID_VALUE', `not a MessagePack value: byte ${this.#at}: ${why}`);
  }

  /** Counts values that are to come. Each takes at least a byte. */
  #claim(count: number): void {
    if (count > this.#bytes.length - this.#at) throw this.#cutOff();
    this.#count += count;
    if (this.#count <= this.#valueLimit) return;
    throw new BadPayload('TOO_LARGE', `it holds more than ${this.#valueLimit} values (valueLimit)`);
  }

  #cutOff(): BadPayload {
    return this.#bad('the value is cut off here');
  }

  /** Steps over size bytes and returns where they begin. */
  #take(size: number): number {
    const start = this.#at;
    if (size > this.#bytes.length - start) throw this.#cutOff();
    this.#at = start + size;
    return start;
  }

  #descend(): void {
    if (++this.#depth > depthLimit) throw this.#bad(`nested deeper than ${depthLimit}`);
  }

  #value(): unknown {
    const head = this.#bytes[this.#at];
    if (head === undefined) throw this.#cutOff();
    this.#at++;
    if (head < firstRecord) return head;
    if (head < afterRecords) {
      const shape = this.#shapes[head - firstRecord];
      return shape === undefined ? head : this.#record(shape);
    }
    if (head < 0x90) return this.#map(head & 0x0f);
    if (head < 0xa0) return this.#array(head & 0x0f);
    if (head < 0xc0) return this.#string(head & 0x1f);
    if (head >= 0xe0) return head - 0x100;
    return this.#marked(head);
  }

  /** The value that begins with a byte from 0xc0 to 0xdf. */
  #marked(head: number): unknown {
    const view = this.#view;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(view.getUint8(this.#take(1)));
      case 0xc5:
        return this.#binary(view.getUint16(this.#take(2)));
      case 0xc6:
        return this.#binary(view.getUint32(this.#take(4)));
      case 0xc7:
        return this.#extension(view.getUint8(this.#take(1)));
      case 0xc8:
        return this.#extension(view.getUint16(this.#take(2)));
      case 0xc9:
        return this.#extension(view.getUint32(this.#take(4)));
      case 0xca:
        return view.getFloat32(this.#take(4));
      case 0xcb:
        return view.getFloat64(this.#take(8));
      case 0xcc:
        return view.getUint8(this.#take(1));
      case 0xcd:
        return view.getUint16(this.#take(2));
      case 0xce:
        return view.getUint32(this.#take(4));
      case 0xcf:
        return view.getBigUint64(this.#take(8));
      case 0xd0:
        return view.getInt8(this.#take(1));
      case 0xd1:
        return view.getInt16(this.#take(2));
      case 0xd2:
        return view.getInt32(this.#take(4));
      case 0xd3:
        return view.getBigInt64(this.#take(8));
      case 0xd4:
        return this.#extension(1);
      case 0xd5:
        return this.#extension(2);
      case 0xd6:
        return this.#extension(4);
      case 0xd7:
        return this.#extension(8);
      case 0xd8:
        return this.#extension(16);
      case 0xd9:
        return this.#string(view.getUint8(this.#take(1)));
      case 0xda:
        return this.#string(view.getUint16(this.#take(2)));
      case 0xdb:
        return this.#string(view.getUint32(this.#take(4)));
      case 0xdc:
        return this.#array(view.getUint16(this.#take(2)));
      case 0xdd:
        return this.#array(view.getUint32(this.#take(4)));
      case 0xde:
        return this.#map(view.getUint16(this.#take(2)));
      case 0xdf:
        return this.#map(view.getUint32(this.#take(4)));
      default:
        throw this.#bad(`0x${head.toString(16)} begins no value`);
    }
  }

  #string(size: number): string {
    const start = this.#take(size);
    const text = this.#text.read(start, start + size);
    if (text === undefined) throw this.#bad('the string before this byte is not valid UTF-8');
    return text;
  }

  #binary(size: number): Uint8Array {
    const start = this.#take(size);
    return Uint8Array.prototype.slice.call(this.#bytes, start, start + size);
  }

  #array(length: number): unknown[] {
    this.#claim(length);
    this.#descend();
    const array: unknown[] = length <= longestAhead ? new Array(length) : [];
    for (let i = 0; i < length; i++) array[i] = this.#value();
    this.#depth--;
    return array;
  }

  #map(size: number): Map<unknown, unknown> {
    const start = this.#at;
    const parts = this.#array(2 * size);
    const map = new Map<unknown, unknown>();
    this.#insertAll(size, start, (i) => map.set(parts[2 * i], parts[2 * i + 1]));
    return map;
  }

  #set(): Set<unknown> {
    const start = this.#at;
    const members = this.#listOf('members of a Set');
    const set = new Set<unknown>();
    this.#insertAll(members.length, start, (i) => set.add(members[i]));
    return set;
  }

  /** An array, where only an array is allowed. */
  #listOf(what: string): unknown[] {
    const head = this.#bytes[this.#at] ?? 0;
    if ((head & 0xf0) !== 0x90 && head !== 0xdc && head !== 0xdd)
      throw this.#bad(`the ${what} are not an array`);
    return this.#value() as unknown[];
  }

  #insertAll(count: number, start: number, insert: (index: number) => void): void {
    if (!this.#guard.insertAll(count, this.#at - start, insert)) throw this.#collision();
  }

  #collision(): BadPayload {
    return this.#bad('the keys before this byte take far too long to compare: they were chosen to collide');
  }

  #extension(size: number): unknown {
    const type = this.#bytes[this.#take(1)];
    if (size === 1) {
      const data = this.#bytes[this.#at] ?? -1;
      switch (type) {
        case Extension.Undefined:
        case Extension.Set:
          if (data !== 0) throw this.#bad(`0 was expected after 0x${type.toString(16)}`);
          this.#at++;
          return type === Extension.Set ? this.#set() : undefined;
        case Extension.Record:
          if (data < firstRecord || data >= afterRecords)
            throw this.#bad('a record has a number from 0x40 to 0x7f');
          this.#at++;
          return this.#define(data - firstRecord);
      }
    }
    const start = this.#take(size);
    const data = this.#bytes.subarray(start, start + size);
    const value =
      type === Extension.TypedArray
        ? typedArrayOf(data)
        : type === Extension.Timestamp
          ? dateOf(data)
          : type === Extension.BigInt
            ? bigIntOf(data)
            : undefined;
    if (value !== undefined) return value;
    throw this.#bad(`the ${size} bytes before this one are no valid extension 0x${(type ?? 0).toString(16)}`);
  }

  #define(number: number): object {
    const start = this.#at;
    const keys = this.#listOf('keys of a record');
    if (!keys.every((key) => typeof key === 'string'))
      throw this.#bad('a key of the record before this byte is not a string');
    // V8 looks a name up in a table of all names, which can be attacked like a Map.
    const lookUp = (name: string) => Object.keys({ [name]: 0 });
    if (!this.#guard.insertNames(keys, this.#at - start, lookUp)) throw this.#collision();
    const shape = shapeOf(keys);
    this.#shapes[number] = shape;
    return this.#record(shape);
  }

  #record({ keys, isAssignable }: Shape): object {
    this.#claim(keys.length);
    this.#descend();
    const object: Record<string, unknown> = {};
    if (isAssignable) {
      for (let i = 0; i < keys.length; i++) object[keys[i] as string] = this.#value();
    } else {
      for (const key of keys) {
        const value = this.#value();
        // Once an object has had a read-only property, V8 keeps its indices without room for the missing ones.
        Object.defineProperty(object, key, { ...property, writable: false });
        Object.defineProperty(object, key, { ...property, value });
      }
    }
    this.#depth--;
    return object;
  }
}
