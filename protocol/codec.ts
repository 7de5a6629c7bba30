// TLV framing and fixed-size values, as pure functions from bytes to bytes. Everything is little-endian, as both
// supported CPUs are.
import { checkKind, numberOrKind } from './arguments.js';
import {
  type BigIntegerType,
  bigIntegerTypes,
  type IntegerType,
  integerTypes,
} from './integers.generated.js';
import { WireLimit } from './wire.generated.js';

export interface Header {
  readonly tag: number;
  /** The number of bytes that follow the header; may be more than can ever be received. */
  readonly length: bigint;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Header and payload in one piece. */
export function encodeMessageBytes(tag: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(WireLimit.HEADER_SIZE + payload.length);
  writeHeader(message, 0, tag, payload.length);
  message.set(payload, WireLimit.HEADER_SIZE);
  return message;
}

/** Writes the 12 bytes of a header. length: below 2^53. */
export function writeHeader(into: Uint8Array, offset: number, tag: number, length: number): void {
  into[offset] = tag;
  into[offset + 1] = tag >>> 8;
  into[offset + 2] = tag >>> 16;
  into[offset + 3] = tag >>> 24;
  const high = Math.floor(length / 0x1_0000_0000);
  into[offset + 4] = length;
  into[offset + 5] = length >>> 8;
  into[offset + 6] = length >>> 16;
  into[offset + 7] = length >>> 24;
  into[offset + 8] = high;
  into[offset + 9] = high >>> 8;
  into[offset + 10] = high >>> 16;
  into[offset + 11] = high >>> 24;
}

/** undefined: fewer than 12 bytes. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < WireLimit.HEADER_SIZE) return undefined;
  const view = viewOf(bytes);
  return { tag: view.getUint32(0, true), length: view.getBigUint64(4, true) };
}

export function readUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] ?? 0) |
      ((bytes[offset + 1] ?? 0) << 8) |
      ((bytes[offset + 2] ?? 0) << 16) |
      ((bytes[offset + 3] ?? 0) << 24)) >>>
    0
  );
}

/** The payload of an integer of up to 32 bits. Throws RangeError for a value that does not fit. */
export function encodeInteger(type: IntegerType, value: number): Uint8Array {
  return writeInteger(type, value, new Uint8Array(integerTypes[type].size));
}

/** The same, written into bytes, which must have the type's size and are returned. */
export function writeInteger(type: IntegerType, value: number, bytes: Uint8Array): Uint8Array {
  const { size, least, greatest } = integerTypes[type];
  if (!Number.isInteger(value) || value < least || value > greatest) {
    throw new RangeError(`${numberOrKind(value)} is no ${type}`);
  }
  for (let i = 0; i < size; i++) bytes[i] = value >> (8 * i);
  return bytes;
}

/** The payload must have the type's size. */
export function decodeInteger(type: IntegerType, payload: Uint8Array): number {
  return readInteger(type, payload, 0);
}

/** The same, from bytes at an offset. */
export function readInteger(type: IntegerType, bytes: Uint8Array, start: number): number {
  const { size, signed } = integerTypes[type];
  let value = 0;
  for (let i = 0; i < size; i++) value |= (bytes[start + i] ?? 0) << (8 * i);
  if (signed) return (value << (32 - 8 * size)) >> (32 - 8 * size);
  return value >>> 0;
}

/** The payload of a 64-bit integer. Throws RangeError for a value that does not fit. */
export function encodeBigInteger(type: BigIntegerType, value: bigint): Uint8Array {
  return writeBigInteger(type, value, new Uint8Array(8));
}

/** The same, written into 8 bytes, which are returned. Throws TypeError for a value that is not a bigint. */
export function writeBigInteger(type: BigIntegerType, value: bigint, bytes: Uint8Array): Uint8Array {
  checkKind(value, 'bigint');
  const fits = bigIntegerTypes[type].signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  if (fits !== value) throw new RangeError(`${value} is no ${type}`);
  viewOf(bytes).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes;
}

export function decodeBigInteger(type: BigIntegerType, payload: Uint8Array): bigint {
  return readBigInteger(type, payload, 0);
}

/** The same, from bytes at an offset. */
export function readBigInteger(type: BigIntegerType, bytes: Uint8Array, start: number): bigint {
  const value = viewOf(bytes).getBigUint64(start, true);
  return bigIntegerTypes[type].signed ? BigInt.asIntN(64, value) : value;
}
