// The typed channel, in the words of the guide: send… and recv… of every type, asynchronous, and …Sync.
import { BadPayload, Channel, checkUserTag, type ReceiveOptions } from './channel.js';
import {
  decodeBigInteger,
  decodeInteger,
  encodeBigInteger,
  encodeInteger,
  type IntegerType,
  integerTypes,
} from './codec.js';
import { CommsError } from './errors.js';
import type { InboxMessage } from './inbox.js';
import { decodeValue, encodeValue } from './messagepack.js';
import { decodeMessage, encodeMessage } from './messages.js';
import type { Transport } from './transport.js';
import { Tag } from './wire.generated.js';

/** A message of any tag. */
export interface Message {
  readonly tag: number;
  readonly payload: Uint8Array;
  /** Of an Fd message, now the receiver's to close; otherwise -1. */
  readonly fd: number;
}

export interface SyncReceiveOptions {
  /** Gives up with TIMEOUT after so many milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** A status as sandbox2 sends it: a canonical code (StatusCode), words, and details by type URL. */
export interface Status {
  readonly code: number;
  readonly message: string;
  readonly payloads?: Readonly<Record<string, Uint8Array>> | undefined;
}

/** What makes bytes of a message: a static or reflected protobufjs type, among others. */
export interface ProtobufEncoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

/** What makes a message of bytes. */
export interface ProtobufDecoder<T> {
  decode(bytes: Uint8Array): T;
}

type SmallInteger = Exclude<IntegerType, 'Int64' | 'Uint64'>;

const nothing = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function checkSize(message: InboxMessage, size: number): void {
  if (message.payload.length !== size) {
    throw new BadPayload(
      'BAD_LENGTH',
      `a payload of ${size} bytes was expected, ${message.payload.length} came`,
    );
  }
}

const decodeBool = (message: InboxMessage): boolean => {
  checkSize(message, 1);
  return message.payload[0] !== 0;
};
const decodeBytes = (message: InboxMessage): Uint8Array => message.payload.slice();
const decodeString = (message: InboxMessage): string => {
  try {
    return decoder.decode(message.payload);
  } catch {
    throw new BadPayload('INVALID_VALUE', 'the string is not valid UTF-8');
  }
};
const decodeFd = (message: InboxMessage): number => message.fd;
const decodeBarrier = (message: InboxMessage): void => checkSize(message, 0);
const decodeAny = (message: InboxMessage): Message => ({
  tag: message.tag,
  payload: message.payload.slice(),
  fd: message.fd,
});

function encodeStatus(status: Status): Uint8Array {
  const { code, message, payloads } = status;
  // proto3 leaves out what has its default.
  return encodeMessage('StatusProto', {
    ...(code === 0 ? {} : { code }),
    ...(message === '' ? {} : { message }),
    ...(payloads === undefined ? {} : { payloads }),
  });
}
const decodeStatus = (message: InboxMessage): Status => {
  try {
    const { code, message: text, payloads } = decodeMessage('StatusProto', message.payload.slice());
    return { code: code ?? 0, message: text ?? '', payloads: payloads ?? {} };
  } catch (error) {
    throw new BadPayload('INVALID_VALUE', `not a status: ${String(error)}`);
  }
};
const decodeStructured = (message: InboxMessage): unknown => {
  try {
    return decodeValue(message.payload.slice());
  } catch (error) {
    throw new BadPayload('INVALID_VALUE', `not a MessagePack value: ${String(error)}`);
  }
};
function protobufDecoder<T>(type: ProtobufDecoder<T>): (message: InboxMessage) => T {
  return (message) => {
    try {
      return type.decode(message.payload.slice());
    } catch (error) {
      throw new BadPayload('INVALID_VALUE', `not such a protobuf message: ${String(error)}`);
    }
  };
}

function integerDecoder(type: SmallInteger): (message: InboxMessage) => number {
  return (message) => {
    checkSize(message, integerTypes[type].size);
    return decodeInteger(type, message.payload);
  };
}
function bigIntegerDecoder(type: 'Int64' | 'Uint64'): (message: InboxMessage) => bigint {
  return (message) => {
    checkSize(message, 8);
    return decodeBigInteger(type, message.payload);
  };
}
const decodeInt8 = integerDecoder('Int8');
const decodeUint8 = integerDecoder('Uint8');
const decodeInt16 = integerDecoder('Int16');
const decodeUint16 = integerDecoder('Uint16');
const decodeInt32 = integerDecoder('Int32');
const decodeUint32 = integerDecoder('Uint32');
const decodeInt64 = bigIntegerDecoder('Int64');
const decodeUint64 = bigIntegerDecoder('Uint64');

function checkPayloadTag(tag: number): void {
  if (!Number.isInteger(tag) || tag < 0 || tag > 0xffffffff || tag === Tag.Fd || tag === Tag.CommsUpgrade) {
    throw new RangeError(`a tag of 32 bits that brings no file descriptor is needed, not ${tag}`);
  }
}

/**
 * A typed channel between two processes over a transport.
 *
 * A send resolves when the kernel has taken the message; sends keep their order. Receives are served in the order they
 * were made. A typed receive that meets another tag fails with TAG_MISMATCH and leaves the message to the next receive.
 * Every failure is a CommsError.
 */
export class Comms {
  readonly #channel: Channel;

  /** Takes the transport over: it is closed with the channel. */
  constructor(transport: Transport) {
    this.#channel = new Channel(transport);
  }

  /** Whether both directions still work, as far as is known here. */
  get isConnected(): boolean {
    return this.#channel.isConnected;
  }

  /** Longest payload that is taken, in bytes: 256 MiB unless set; at most 2^31 − 1. */
  get payloadLimit(): number {
    return this.#channel.payloadLimit;
  }

  set payloadLimit(bytes: number) {
    this.#channel.payloadLimit = bytes;
  }

  /** Bytes sent but not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.#channel.pendingBytes;
  }

  /** What is sent while more than so many bytes wait for the kernel fails with BUSY: 64 MiB unless set. */
  get highWaterMark(): number {
    return this.#channel.highWaterMark;
  }

  set highWaterMark(bytes: number) {
    this.#channel.highWaterMark = bytes;
  }

  /** Who made the other end (SO_PEERCRED). NO_CREDENTIALS if the transport cannot tell. */
  peerCredentials(): { pid: number; uid: number; gid: number } {
    const credentials = this.#channel.transport.peerCredentials?.();
    if (credentials !== undefined) return credentials;
    throw new CommsError('NO_CREDENTIALS', 'this transport does not know who the other end is', {
      operation: 'peerCredentials',
      peer: this.#channel.transport.name,
    });
  }

  /** Resolves when the kernel has taken everything sent so far. */
  flush(): Promise<void> {
    return this.#channel.flush();
  }

  sendBool(value: boolean): Promise<void> {
    return this.#channel.send('sendBool', Tag.Bool, Uint8Array.of(value ? 1 : 0));
  }
  sendBoolSync(value: boolean): void {
    this.#channel.sendSync('sendBool', Tag.Bool, Uint8Array.of(value ? 1 : 0));
  }
  recvBool(options?: ReceiveOptions): Promise<boolean> {
    return this.#channel.receive('recvBool', Tag.Bool, decodeBool, options);
  }
  recvBoolSync(options?: SyncReceiveOptions): boolean {
    return this.#channel.receiveSync('recvBool', Tag.Bool, decodeBool, options?.timeoutMs ?? -1);
  }

  sendInt8(value: number): Promise<void> {
    return this.#channel.send('sendInt8', Tag.Int8, encodeInteger('Int8', value));
  }
  sendInt8Sync(value: number): void {
    this.#channel.sendSync('sendInt8', Tag.Int8, encodeInteger('Int8', value));
  }
  recvInt8(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvInt8', Tag.Int8, decodeInt8, options);
  }
  recvInt8Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvInt8', Tag.Int8, decodeInt8, options?.timeoutMs ?? -1);
  }

  sendUint8(value: number): Promise<void> {
    return this.#channel.send('sendUint8', Tag.Uint8, encodeInteger('Uint8', value));
  }
  sendUint8Sync(value: number): void {
    this.#channel.sendSync('sendUint8', Tag.Uint8, encodeInteger('Uint8', value));
  }
  recvUint8(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvUint8', Tag.Uint8, decodeUint8, options);
  }
  recvUint8Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvUint8', Tag.Uint8, decodeUint8, options?.timeoutMs ?? -1);
  }

  sendInt16(value: number): Promise<void> {
    return this.#channel.send('sendInt16', Tag.Int16, encodeInteger('Int16', value));
  }
  sendInt16Sync(value: number): void {
    this.#channel.sendSync('sendInt16', Tag.Int16, encodeInteger('Int16', value));
  }
  recvInt16(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvInt16', Tag.Int16, decodeInt16, options);
  }
  recvInt16Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvInt16', Tag.Int16, decodeInt16, options?.timeoutMs ?? -1);
  }

  sendUint16(value: number): Promise<void> {
    return this.#channel.send('sendUint16', Tag.Uint16, encodeInteger('Uint16', value));
  }
  sendUint16Sync(value: number): void {
    this.#channel.sendSync('sendUint16', Tag.Uint16, encodeInteger('Uint16', value));
  }
  recvUint16(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvUint16', Tag.Uint16, decodeUint16, options);
  }
  recvUint16Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvUint16', Tag.Uint16, decodeUint16, options?.timeoutMs ?? -1);
  }

  sendInt32(value: number): Promise<void> {
    return this.#channel.send('sendInt32', Tag.Int32, encodeInteger('Int32', value));
  }
  sendInt32Sync(value: number): void {
    this.#channel.sendSync('sendInt32', Tag.Int32, encodeInteger('Int32', value));
  }
  recvInt32(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvInt32', Tag.Int32, decodeInt32, options);
  }
  recvInt32Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvInt32', Tag.Int32, decodeInt32, options?.timeoutMs ?? -1);
  }

  sendUint32(value: number): Promise<void> {
    return this.#channel.send('sendUint32', Tag.Uint32, encodeInteger('Uint32', value));
  }
  sendUint32Sync(value: number): void {
    this.#channel.sendSync('sendUint32', Tag.Uint32, encodeInteger('Uint32', value));
  }
  recvUint32(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvUint32', Tag.Uint32, decodeUint32, options);
  }
  recvUint32Sync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvUint32', Tag.Uint32, decodeUint32, options?.timeoutMs ?? -1);
  }

  sendInt64(value: bigint): Promise<void> {
    return this.#channel.send('sendInt64', Tag.Int64, encodeBigInteger('Int64', value));
  }
  sendInt64Sync(value: bigint): void {
    this.#channel.sendSync('sendInt64', Tag.Int64, encodeBigInteger('Int64', value));
  }
  recvInt64(options?: ReceiveOptions): Promise<bigint> {
    return this.#channel.receive('recvInt64', Tag.Int64, decodeInt64, options);
  }
  recvInt64Sync(options?: SyncReceiveOptions): bigint {
    return this.#channel.receiveSync('recvInt64', Tag.Int64, decodeInt64, options?.timeoutMs ?? -1);
  }

  sendUint64(value: bigint): Promise<void> {
    return this.#channel.send('sendUint64', Tag.Uint64, encodeBigInteger('Uint64', value));
  }
  sendUint64Sync(value: bigint): void {
    this.#channel.sendSync('sendUint64', Tag.Uint64, encodeBigInteger('Uint64', value));
  }
  recvUint64(options?: ReceiveOptions): Promise<bigint> {
    return this.#channel.receive('recvUint64', Tag.Uint64, decodeUint64, options);
  }
  recvUint64Sync(options?: SyncReceiveOptions): bigint {
    return this.#channel.receiveSync('recvUint64', Tag.Uint64, decodeUint64, options?.timeoutMs ?? -1);
  }

  /** Text as UTF-8; embedded NULs are fine. */
  sendString(text: string): Promise<void> {
    return this.#channel.send('sendString', Tag.String, encoder.encode(text));
  }
  sendStringSync(text: string): void {
    this.#channel.sendSync('sendString', Tag.String, encoder.encode(text));
  }
  /** Fails with INVALID_VALUE, and the message is used up, if it is not UTF-8; recvStringBytes takes any. */
  recvString(options?: ReceiveOptions): Promise<string> {
    return this.#channel.receive('recvString', Tag.String, decodeString, options);
  }
  recvStringSync(options?: SyncReceiveOptions): string {
    return this.#channel.receiveSync('recvString', Tag.String, decodeString, options?.timeoutMs ?? -1);
  }
  recvStringBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#channel.receive('recvStringBytes', Tag.String, decodeBytes, options);
  }
  recvStringBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#channel.receiveSync('recvStringBytes', Tag.String, decodeBytes, options?.timeoutMs ?? -1);
  }

  /** The bytes must not change until the send has resolved. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    return this.#channel.send('sendBytes', Tag.Bytes, bytes);
  }
  sendBytesSync(bytes: Uint8Array): void {
    this.#channel.sendSync('sendBytes', Tag.Bytes, bytes);
  }
  recvBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#channel.receive('recvBytes', Tag.Bytes, decodeBytes, options);
  }
  recvBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#channel.receiveSync('recvBytes', Tag.Bytes, decodeBytes, options?.timeoutMs ?? -1);
  }

  /** A protobuf message that is encoded already. */
  sendProtobufBytes(bytes: Uint8Array): Promise<void> {
    return this.#channel.send('sendProtobufBytes', Tag.Proto2, bytes);
  }
  sendProtobufBytesSync(bytes: Uint8Array): void {
    this.#channel.sendSync('sendProtobufBytes', Tag.Proto2, bytes);
  }
  recvProtobufBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#channel.receive('recvProtobufBytes', Tag.Proto2, decodeBytes, options);
  }
  recvProtobufBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#channel.receiveSync('recvProtobufBytes', Tag.Proto2, decodeBytes, options?.timeoutMs ?? -1);
  }

  sendProtobuf<T>(type: ProtobufEncoder<T>, message: T): Promise<void> {
    return this.#channel.send('sendProtobuf', Tag.Proto2, type.encode(message).finish());
  }
  sendProtobufSync<T>(type: ProtobufEncoder<T>, message: T): void {
    this.#channel.sendSync('sendProtobuf', Tag.Proto2, type.encode(message).finish());
  }
  /** INVALID_VALUE, and the message is used up, if the type cannot decode it. */
  recvProtobuf<T>(type: ProtobufDecoder<T>, options?: ReceiveOptions): Promise<T> {
    return this.#channel.receive('recvProtobuf', Tag.Proto2, protobufDecoder(type), options);
  }
  recvProtobufSync<T>(type: ProtobufDecoder<T>, options?: SyncReceiveOptions): T {
    return this.#channel.receiveSync(
      'recvProtobuf',
      Tag.Proto2,
      protobufDecoder(type),
      options?.timeoutMs ?? -1,
    );
  }

  sendStatus(status: Status): Promise<void> {
    return this.#channel.send('sendStatus', Tag.Proto2, encodeStatus(status));
  }
  sendStatusSync(status: Status): void {
    this.#channel.sendSync('sendStatus', Tag.Proto2, encodeStatus(status));
  }
  recvStatus(options?: ReceiveOptions): Promise<Status> {
    return this.#channel.receive('recvStatus', Tag.Proto2, decodeStatus, options);
  }
  recvStatusSync(options?: SyncReceiveOptions): Status {
    return this.#channel.receiveSync('recvStatus', Tag.Proto2, decodeStatus, options?.timeoutMs ?? -1);
  }

  /** A structured value as MessagePack: plain objects, arrays, Map, Set, Date, BigInt up to 64 bits, typed arrays. */
  sendValue(value: unknown): Promise<void> {
    return this.#channel.send('sendValue', Tag.MessagePack, encodeValue(value));
  }
  sendValueSync(value: unknown): void {
    this.#channel.sendSync('sendValue', Tag.MessagePack, encodeValue(value));
  }
  /** INVALID_VALUE, and the message is used up, if it is no MessagePack value. */
  recvValue(options?: ReceiveOptions): Promise<unknown> {
    return this.#channel.receive('recvValue', Tag.MessagePack, decodeStructured, options);
  }
  recvValueSync(options?: SyncReceiveOptions): unknown {
    return this.#channel.receiveSync(
      'recvValue',
      Tag.MessagePack,
      decodeStructured,
      options?.timeoutMs ?? -1,
    );
  }

  sendBarrier(): Promise<void> {
    return this.#channel.send('sendBarrier', Tag.Barrier, nothing);
  }
  sendBarrierSync(): void {
    this.#channel.sendSync('sendBarrier', Tag.Barrier, nothing);
  }
  recvBarrier(options?: ReceiveOptions): Promise<void> {
    return this.#channel.receive('recvBarrier', Tag.Barrier, decodeBarrier, options);
  }
  recvBarrierSync(options?: SyncReceiveOptions): void {
    this.#channel.receiveSync('recvBarrier', Tag.Barrier, decodeBarrier, options?.timeoutMs ?? -1);
  }

  /** Sends a duplicate of the fd; it stays the caller's, who must not close it before the send has resolved. */
  sendFd(fd: number): Promise<void> {
    return this.#channel.send('sendFd', Tag.Fd, nothing, fd);
  }
  sendFdSync(fd: number): void {
    this.#channel.sendSync('sendFd', Tag.Fd, nothing, fd);
  }
  /** The fd is close-on-exec and the caller's to close. */
  recvFd(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive('recvFd', Tag.Fd, decodeFd, options);
  }
  recvFdSync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync('recvFd', Tag.Fd, decodeFd, options?.timeoutMs ?? -1);
  }

  /** A message of one's own; tags below 0x80000000 but for 0x5357xxxx. */
  sendTlv(tag: number, payload: Uint8Array): Promise<void> {
    checkUserTag(tag);
    return this.#channel.send('sendTlv', tag, payload);
  }
  sendTlvSync(tag: number, payload: Uint8Array): void {
    checkUserTag(tag);
    this.#channel.sendSync('sendTlv', tag, payload);
  }
  /** Payload of the next message, which must have this tag; for file descriptors there is recvFd. */
  recvTlv(tag: number, options?: ReceiveOptions): Promise<Uint8Array> {
    checkPayloadTag(tag);
    return this.#channel.receive('recvTlv', tag, decodeBytes, options);
  }
  recvTlvSync(tag: number, options?: SyncReceiveOptions): Uint8Array {
    checkPayloadTag(tag);
    return this.#channel.receiveSync('recvTlv', tag, decodeBytes, options?.timeoutMs ?? -1);
  }

  /** The version message of a handshake. */
  sendVersion(version: string): Promise<void> {
    return this.#channel.send('sendVersion', Tag.Version, encoder.encode(version));
  }
  sendVersionSync(version: string): void {
    this.#channel.sendSync('sendVersion', Tag.Version, encoder.encode(version));
  }
  recvVersionSync(options?: SyncReceiveOptions): string {
    return this.#channel.receiveSync('recvVersion', Tag.Version, decodeString, options?.timeoutMs ?? -1);
  }
  recvVersion(options?: ReceiveOptions): Promise<string> {
    return this.#channel.receive('recvVersion', Tag.Version, decodeString, options);
  }

  /** Declines the upgrade to shared memory that a handshake offers. */
  sendNoUpgrade(): Promise<void> {
    return this.#channel.send('sendNoUpgrade', Tag.CommsNoUpgrade, nothing);
  }

  /** The next message, whatever it is. */
  recvMessage(options?: ReceiveOptions): Promise<Message> {
    return this.#channel.receive('recvMessage', undefined, decodeAny, options);
  }
  recvMessageSync(options?: SyncReceiveOptions): Message {
    return this.#channel.receiveSync('recvMessage', undefined, decodeAny, options?.timeoutMs ?? -1);
  }

  /** Sends a message and takes the next one that comes, whatever it is. */
  exchange(tag: number, payload: Uint8Array, options?: ReceiveOptions): Promise<Message> {
    checkUserTag(tag);
    const answer = this.#channel.receive('exchange', undefined, decodeAny, options);
    // If the send fails and the answer never comes, the send tells why.
    answer.catch(() => {});
    return this.#channel.send('exchange', tag, payload).then(() => answer);
  }
  exchangeSync(tag: number, payload: Uint8Array, options?: SyncReceiveOptions): Message {
    checkUserTag(tag);
    this.#channel.sendSync('exchange', tag, payload);
    return this.#channel.receiveSync('exchange', undefined, decodeAny, options?.timeoutMs ?? -1);
  }

  /** Every message until the channel is closed at a message's border; other ends throw. fds are the caller's. */
  async *messages(options?: ReceiveOptions): AsyncGenerator<Message, void, void> {
    for (;;) {
      let message: Message;
      try {
        message = await this.recvMessage(options);
      } catch (error) {
        if (error instanceof CommsError && error.code === 'CLOSED') return;
        throw error;
      }
      yield message;
    }
  }

  /** Tag of the next message, which is left there. */
  peekTag(options?: ReceiveOptions): Promise<number> {
    return this.#channel.receive<number>('peekTag', undefined, undefined, options);
  }
  peekTagSync(options?: SyncReceiveOptions): number {
    return this.#channel.receiveSync<number>('peekTag', undefined, undefined, options?.timeoutMs ?? -1);
  }

  /** Closes the channel here: everything pending fails with CLOSED. Safe to call twice. */
  close(): void {
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
