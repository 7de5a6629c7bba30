// Structured values that a hostile peer may write.

export function bytesOf(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))));
}

/** An array that repeats these bytes count times. */
export function arrayOf(count: number, element: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(5 + count * element.length);
  bytes[0] = 0xdd;
  bytes.writeUInt32BE(count, 1);
  if (element.length > 0) bytes.fill(Uint8Array.from(element), 5);
  return new Uint8Array(bytes);
}

const withId = (type: number, id: number) => [
  0xd6,
  type,
  id >>> 24,
  (id >>> 16) & 255,
  (id >>> 8) & 255,
  id & 255,
];

/** A tree of references to itself, whose leaf has this many properties, with one byte too many behind it. */
export function laughs(depth: number, properties: number): Uint8Array {
  const keys = Array.from({ length: properties }, (_, i) => [...Buffer.from(`k${i}`)]);
  const named = keys.flatMap((key) => [0xa0 + key.length, ...key]);
  const leaf = [0xd4, 0x72, 0x40, 0xdc, 0, properties, ...named, ...keys.flatMap(() => [0xd4, 0, 0])];
  const levels = Array.from({ length: depth }, (_, i) => [
    ...withId(0x69, i + 1),
    0x92,
    ...withId(0x70, i),
    ...withId(0x70, i),
  ]);
  return bytesOf(
    [0xdc, 0, depth + 1],
    withId(0x69, 0),
    properties === 0 ? [0x90] : leaf,
    levels.flat(),
    [0xc0],
  );
}

/** Numbers with the same hash: V8's 64-bit hash, computed backwards. */
export function chosenNumbers(count: number): number[] {
  const all = (1n << 64n) - 1n;
  const withoutShift = (value: bigint, by: bigint) => {
    let result = value;
    for (let i = by; i < 64n; i += by) result = value ^ (result >> by);
    return result;
  };
  const inverse = (of: bigint) => {
    let x = of;
    for (let i = 0; i < 6; i++) x = (x * (2n - of * x)) & all;
    return x & all;
  };
  const [by65, by21, byShift] = [inverse(65n), inverse(21n), inverse((1n << 18n) - 1n)];
  const bits = new DataView(new ArrayBuffer(8));
  const numbers: number[] = [];
  for (let i = 1n; numbers.length < count; i++) {
    let hash = withoutShift((i << 30n) | 5n, 22n);
    hash = withoutShift((hash * by65) & all, 11n);
    hash = withoutShift((hash * by21) & all, 31n);
    bits.setBigUint64(0, ((hash + 1n) * byShift) & all);
    const number = bits.getFloat64(0);
    if (Number.isFinite(number) && !Number.isInteger(number)) numbers.push(number);
  }
  return numbers;
}

/** BigInts whose lowest 64 bits are the same: V8 hashes no others. */
export const chosenBigInts = (count: number): bigint[] =>
  Array.from({ length: count }, (_, i) => (BigInt(i + 1) << 64n) | 5n);
