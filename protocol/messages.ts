// The protobuf messages, by name, as plain objects. protobufjs encodes and decodes them and is used nowhere else.
import protobuf from 'protobufjs/light.js';
import type * as shapes from './messages.generated.js';
import { messageDescriptors } from './messages.generated.js';

/** The messages that sandwire sends and receives, by name. */
export interface Messages {
  Request: shapes.Request;
  StartRequest: shapes.StartRequest;
  Event: shapes.Event;
  SandboxingConfig: shapes.SandboxingConfig;
  ForkRequest: shapes.ForkRequest;
  StatusProto: shapes.StatusProto;
  StackTraces: shapes.StackTraces;
}

const root = protobuf.Root.fromJSON(messageDescriptors);
const types = new Map<string, protobuf.Type>();

function typeOf(name: keyof Messages): protobuf.Type {
  let type = types.get(name);
  if (type === undefined) {
    type = root.lookupType(name);
    types.set(name, type);
  }
  return type;
}

/** protobufjs takes 64-bit numbers as { low, high }. */
function toWire(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const bits = BigInt.asUintN(64, value);
    return {
      low: Number(BigInt.asIntN(32, bits)),
      high: Number(BigInt.asIntN(32, bits >> 32n)),
      unsigned: value >= 0n,
    };
  }
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(toWire);
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, field]) => field !== undefined);
    return Object.fromEntries(entries.map(([key, field]) => [key, toWire(field)]));
  }
  return value;
}

function fromWire(value: unknown): unknown {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(fromWire);
  if (typeof value === 'object' && value !== null) {
    // Recognised by its class, because the keys of a map are whatever its sender chose.
    if (value instanceof protobuf.util.Long) {
      const bits = (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
      return value.unsigned ? bits : BigInt.asIntN(64, bits);
    }
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, fromWire(field)]));
  }
  return value;
}

export function encodeMessage<K extends keyof Messages>(name: K, message: Messages[K]): Uint8Array {
  const type = typeOf(name);
  return type.encode(type.create(toWire(message) as Record<string, unknown>)).finish();
}

/** A Request whose one field is the message that the parts make up: concatenated protobuf encodings are one message. */
export function encodeParts(field: 'start', parts: readonly Uint8Array[]): Uint8Array {
  const { fields } = typeOf('Request');
  const writer = protobuf.Writer.create();
  const lengthDelimited = 2;
  writer.uint32(((fields[field]?.id ?? 0) << 3) | lengthDelimited);
  writer.bytes(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts));
  return writer.finish();
}

/** Throws an Error that names the first unknown field, or unknown value of an enum. protobufjs ignores both. */
function checkKnown(type: protobuf.Type, reader: protobuf.Reader, end: number): void {
  while (reader.pos < end) {
    const key = reader.uint32();
    const number = key >>> 3;
    const field = type.fieldsById[number];
    if (field === undefined) throw new Error(`${type.name} has no field ${number}`);
    const inner = field.resolve().resolvedType;
    if (inner instanceof protobuf.Type) {
      const size = reader.uint32();
      checkKnown(inner, reader, reader.pos + size);
    } else if (inner instanceof protobuf.Enum) {
      const value = reader.int32();
      if (inner.valuesById[value] === undefined) throw new Error(`${inner.name} has no value ${value}`);
    } else {
      reader.skipType(key & 7);
    }
  }
}

/**
 * Like decodeMessage(), for a peer of the same version: an unknown field or value of an enum is an Error that names its
 * number. Enums in packed lists are not checked; there are none.
 */
export function decodeMessageStrictly<K extends keyof Messages>(name: K, bytes: Uint8Array): Messages[K] {
  checkKnown(typeOf(name), protobuf.Reader.create(bytes), bytes.length);
  return decodeMessage(name, bytes);
}

/** Throws an Error for bytes that are not such a message. Unknown fields are ignored. */
export function decodeMessage<K extends keyof Messages>(name: K, bytes: Uint8Array): Messages[K] {
  const type = typeOf(name);
  // Only what was on the wire: an absent field is undefined, not its default.
  return fromWire(type.toObject(type.decode(bytes))) as Messages[K];
}
