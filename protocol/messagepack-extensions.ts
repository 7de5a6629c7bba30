// The extensions that consist of bytes of their own: typed arrays, large BigInts, dates. Each function returns
// undefined for bytes that are not a valid extension.

/** The types of extensions, as msgpackr numbers them. A type that is not listed here is never accepted. */
export const Extension = {
  /** 1 byte, 0. */
  Undefined: 0x00,
  /** Two's complement, the highest byte first. */
  BigInt: 0x42,
  /** 1 byte, the number of the record that is defined; its keys follow as an array, then its first value. */
  Record: 0x72,
  /** 1 byte, 0; the members follow as an array. */
  Set: 0x73,
  /** 1 byte for the element type; then the memory as it is. */
  TypedArray: 0x74,
  /** As MessagePack itself defines it. */
  Timestamp: 0xff,
} as const;

type Make = (memory: ArrayBuffer) => ArrayBuffer | ArrayBufferView;

/** Indexed by the first byte of the extension. */
const typedArrays: readonly (readonly [elementSize: number, make: Make] | undefined)[] = [
  [1, (memory) => new Int8Array(memory)],
  [1, (memory) => new Uint8Array(memory)],
  [1, (memory) => new Uint8ClampedArray(memory)],
  [2, (memory) => new Int16Array(memory)],
  [2, (memory) => new Uint16Array(memory)],
  [4, (memory) => new Int32Array(memory)],
  [4, (memory) => new Uint32Array(memory)],
  [4, (memory) => new Float32Array(memory)],
  [8, (memory) => new Float64Array(memory)],
  [8, (memory) => new BigInt64Array(memory)],
  [8, (memory) => new BigUint64Array(memory)],
  undefined,
  undefined,
  undefined,
  undefined,
  undefined,
  [1, (memory) => memory],
  [1, (memory) => new DataView(memory)],
];

export function typedArrayOf(data: Uint8Array): ArrayBuffer | ArrayBufferView | undefined {
  const kind = typedArrays[data[0] ?? -1];
  if (kind === undefined) return undefined;
  const [elementSize, make] = kind;
  if ((data.length - 1) % elementSize !== 0) return undefined;
  return make(Uint8Array.prototype.slice.call(data, 1).buffer as ArrayBuffer);
}

export function bigIntOf(data: Uint8Array): bigint | undefined {
  if (data.length === 0) return undefined;
  try {
    const hex = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
    return BigInt.asIntN(data.length * 8, BigInt(`0x${hex}`));
  } catch {
    return undefined; // larger than any BigInt
  }
}

/** A date from seconds and nanoseconds, which must be less than a second. */
function timeOf(seconds: number, nanoseconds: number): Date | undefined {
  if (nanoseconds > 999_999_999) return undefined;
  const date = new Date(seconds * 1000 + nanoseconds / 1e6);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function dateOf(data: Uint8Array): Date | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  switch (data.length) {
    case 1: // not a timestamp of MessagePack's: an
      return data[0] === 0xff ? new Date(Number.NaN) : undefined;
    case 4:
      return timeOf(view.getUint32(0), 0);
    case 8: {
      const both = view.getUint32(0); // 30 bits of nanoseconds, and the highest two of the seconds
      return timeOf((both & 3) * 2 ** 32 + view.getUint32(4), both >>> 2);
    }
    case 12:
      return timeOf(Number(view.getBigInt64(4)), view.getUint32(0));
    default:
      return undefined;
  }
}
