// The types of message: for each its tag, how a value becomes a payload, and how a payload becomes a value.
import { isUint8Array } from 'node:util/types';
import { checkKind, kindOf, namedError, numberOrKind, refusalOfBytes } from './arguments.js';
import { readBigInteger, readInteger, writeBigInteger, writeInteger } from './codec.js';
import {
  type BigIntegerType,
  bigIntegerTypes,
  type IntegerType,
  integerTypes,
} from './integers.generated.js';
import { decodeValue, encodeValue } from './messagepack.js';
import { decodeMessage, encodeMessage } from './messages.js';
import { BadPayload, ownBytes, type ReceivedMessage, type Receiving, viewOf } from './receiving.js';
import type { Credentials } from './transport.js';
import { Tag } from './wire.generated.js';

/** A message of any tag. */
export interface Message {
  readonly tag: number;
  readonly payload: Uint8Array;
  /** The fd of an Fd message, which the receiver must close; otherwise -1. */
  readonly fd: number;
  /** The writer of a Creds message, if the kernel named it. */
  readonly credentials?: Credentials | undefined;
}

/** A status as sandbox2 sends it: a canonical code (StatusCode), a message, and details by type URL. */
export interface Status {
  readonly code: number;
  readonly message: string;
  readonly payloads?: Readonly<Record<string, Uint8Array>> | undefined;
}

/** Something that encodes a message: a static or reflected protobufjs type, for example. */
export interface ProtobufEncoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** Something that decodes a message. */
export interface ProtobufDecoder<T> {
  decode(bytes: Uint8Array): T;
}

/** One type of value: how it is received, and how it is sent. */
export interface ValueType<T> extends Receiving<T> {
  readonly sendOperation: string;
  readonly tag: number;
  /** The payload, valid until the next encode(). */
  encode(value: T): Uint8Array;
}

const nothing = new Uint8Array();
const statusLimit = 4 << 20;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function checkSize({ length }: ReceivedMessage, size: number): void {
  if (length === size) return;
  throw new BadPayload('BAD_LENGTH', `a payload of ${size} bytes was expected, ${length} came`);
}

/** Calls a decoder that is not ours. If it throws, the payload is not such a value. */
function decodeWith<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new BadPayload('INVALID_VALUE', `not ${what}: ${error instanceof Error ? error.message : error}`);
  }
}

const takeText = (received: ReceivedMessage): string => {
  try {
    return decoder.decode(viewOf(received));
  } catch {
    throw new BadPayload('INVALID_VALUE', 'the string is not valid UTF-8');
  }
};

function valueType<T>(
  name: string,
  tag: number,
  encode: (value: T) => Uint8Array,
  decode: (message: ReceivedMessage) => T,
): ValueType<T> {
  const sendOperation = `send${name}`;
  const encodeNamed = (value: T) => {
    try {
      return encode(value);
    } catch (error) {
      throw namedError(sendOperation, error);
    }
  };
  return { sendOperation, operation: `recv${name}`, tag, encode: encodeNamed, decode };
}

function byName<Name extends string, T>(
  names: readonly Name[],
  make: (name: Name) => T,
): { readonly [name in Name]: T } {
  return Object.fromEntries(names.map((name) => [name, make(name)])) as { [name in Name]: T };
}

// The payload of a number is always written to the same few bytes, because a channel copies small payloads at once.
function integer(name: IntegerType): ValueType<number> {
  const { tag, size } = integerTypes[name];
  const bytes = new Uint8Array(size);
  return valueType(
    name,
    tag,
    (value) => writeInteger(name, value, bytes),
    (received) => {
      checkSize(received, size);
      return readInteger(name, received.bytes, received.start);
    },
  );
}

function bigInteger(name: BigIntegerType): ValueType<bigint> {
  const { tag, size } = bigIntegerTypes[name];
  const bytes = new Uint8Array(size);
  return valueType(
    name,
    tag,
    (value) => writeBigInteger(name, value, bytes),
    (received) => {
      checkSize(received, size);
      return readBigInteger(name, received.bytes, received.start);
    },
  );
}

/** The value types of all integers, by name. */
export const integers = {
  ...byName(Object.keys(integerTypes) as IntegerType[], integer),
  ...byName(Object.keys(bigIntegerTypes) as BigIntegerType[], bigInteger),
};

const [no, yes] = [Uint8Array.of(0), Uint8Array.of(1)];
export const bool = valueType<boolean>(
  'Bool',
  Tag.Bool,
  (value) => {
    checkKind(value, 'boolean');
    return value ? yes : no;
  },
  (received) => {
    checkSize(received, 1);
    const byte = received.bytes[received.start] ?? 0;
    if (byte > 1) throw new BadPayload('INVALID_VALUE', 'a Bool must be 0 or 1');
    return byte === 1;
  },
);

const encodeText = (text: string): Uint8Array => {
  checkKind(text, 'string');
  return encoder.encode(text);
};
export const string = valueType<string>('String', Tag.String, encodeText, takeText);
export const version = valueType<string>('Version', Tag.Version, encodeText, takeText);
const bytesType = (name: string, tag: number): ValueType<Uint8Array> =>
  valueType(name, tag, (value) => value, ownBytes);
export const stringBytes = bytesType('StringBytes', Tag.String);
export const bytes = bytesType('Bytes', Tag.Bytes);
export const protobufBytes = bytesType('ProtobufBytes', Tag.Proto2);

export const barrier = valueType<void>(
  'Barrier',
  Tag.Barrier,
  () => nothing,
  (received) => checkSize(received, 0),
);

/** Checks the details first: protobufjs would take text for base64, and anything else for no bytes at all. */
function detailsOf(payloads: unknown): Record<string, Uint8Array> {
  if (typeof payloads !== 'object' || payloads === null || Array.isArray(payloads)) {
    throw new TypeError(`the payloads of a status must be an object, not ${kindOf(payloads)}`);
  }
  const details = Object.entries(payloads).map(([url, bytes]): [string, Uint8Array] => {
    if (bytes instanceof Uint8Array) return [url, bytes];
    if (isUint8Array(bytes)) return [url, new Uint8Array(bytes)]; // a Uint8Array of another realm
    throw new TypeError(
      `the payload ${JSON.stringify(url)} of a status must be a Uint8Array, not ${kindOf(bytes)}`,
    );
  });
  return Object.fromEntries(details);
}

export const status = valueType<Status>(
  'Status',
  Tag.Proto2,
  (value) => {
    if (typeof value !== 'object' || value === null) {
      throw new TypeError(`a status must be { code, message }, not ${kindOf(value)}`);
    }
    const { code, message, payloads } = value;
    if (!Number.isInteger(code) || code !== (code | 0)) {
      throw new RangeError(`the code of a status must be a 32-bit integer, not ${numberOrKind(code)}`);
    }
    checkKind(message, 'string');
    // proto3 leaves out fields that have their default.
    return encodeMessage('StatusProto', {
      ...(code === 0 ? {} : { code }),
      ...(message === '' ? {} : { message }),
      ...(payloads === undefined ? {} : { payloads: detailsOf(payloads) }),
    });
  },
  (received) => {
    // The map of details grows tenfold when it is decoded.
    if (received.length > statusLimit) {
      throw new BadPayload('TOO_LARGE', `a status has at most ${statusLimit} bytes, ${received.length} came`);
    }
    return decodeWith('a status', () => {
      const { code, message, payloads } = decodeMessage('StatusProto', ownBytes(received));
      return { code: code ?? 0, message: message ?? '', payloads: payloads ?? {} };
    });
  },
);

/** Structured values of at most this many values, nested ones included. */
export const structured = (limit: number): ValueType<unknown> =>
  valueType('Value', Tag.MessagePack, encodeValue, (received) => decodeValue(viewOf(received), limit));

/** Throws TypeError if type has no decode(). */
export function protobuf<T>(type: ProtobufDecoder<T>): Receiving<T> {
  const operation = 'recvProtobuf';
  if (typeof type?.decode !== 'function') {
    throw new TypeError(`${operation}: a type with decode() is needed, not ${kindOf(type)}`);
  }
  return {
    operation,
    tag: Tag.Proto2,
    decode: (received) => decodeWith('such a protobuf message', () => type.decode(ownBytes(received))),
  };
}

/** The payload of a message of this type. Throws TypeError if type has no encode(), and whatever encode() throws. */
export function encodeProtobuf<T>(operation: string, type: ProtobufEncoder<T>, message: T): Uint8Array {
  if (typeof type?.encode !== 'function') {
    throw new TypeError(`${operation}: a type with encode() is needed, not ${kindOf(type)}`);
  }
  return type.encode(message).finish();
}

/** Throws TypeError if target is not a Uint8Array. */
export function bytesInto(target: Uint8Array): Receiving<number> {
  const operation = 'recvBytesInto';
  const wrong = refusalOfBytes(operation, target);
  if (wrong !== undefined) throw wrong;
  return {
    operation,
    tag: Tag.Bytes,
    target,
    decode: (received) => {
      const { length } = received;
      if (length > target.length) {
        throw new BadPayload('TOO_LARGE', `${length} bytes came, there is room for ${target.length}`);
      }
      if (!received.isInTarget) target.set(viewOf(received));
      return length;
    },
  };
}

/** Throws RangeError if tag is not a 32-bit number, or belongs to a message with a file descriptor. */
export function tlv(tag: number): Receiving<Uint8Array> {
  if (!Number.isInteger(tag) || tag < 0 || tag > 0xffffffff || tag === Tag.Fd || tag === Tag.CommsUpgrade) {
    throw new RangeError(
      `recvTlv: a tag of 32 bits that brings no file descriptor is needed, not ${numberOrKind(tag)}`,
    );
  }
  return { operation: 'recvTlv', tag, decode: ownBytes };
}

export const fd: Receiving<number> = {
  operation: 'recvFd',
  tag: Tag.Fd,
  decode: (received) => received.fd,
};

export const credentials: Receiving<Credentials> = {
  operation: 'recvCredentials',
  tag: Tag.Creds,
  decode: (received) => {
    checkSize(received, 0);
    const writer = received.credentials;
    if (writer !== undefined) return writer;
    throw new BadPayload(
      'NO_CREDENTIALS',
      'it came without credentials: enableCredentials() was not called before it was sent',
    );
  },
};

function takeAny(received: ReceivedMessage): Message {
  const { tag, fd, credentials } = received;
  const message = { tag, payload: ownBytes(received), fd };
  return credentials === undefined ? message : { ...message, credentials };
}
export const anyMessage: Receiving<Message> = { operation: 'recvMessage', tag: undefined, decode: takeAny };
export const exchanged: Receiving<Message> = { operation: 'exchange', tag: undefined, decode: takeAny };
export const tagOnly: Receiving<number> = { operation: 'peekTag', tag: undefined, decode: undefined };
