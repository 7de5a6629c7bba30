// The typed channel, with the names of the guide: send… and recv… for every type, asynchronous and …Sync.
import { kindOf, promised } from './arguments.js';
import { Channel, checkUserTag } from './channel.js';
import { CommsError } from './errors.js';
import { IntegerComms } from './integer-comms.generated.js';
import { defaultValueLimit } from './messagepack.js';
import type { ReceiveOptions, Receiving, SyncReceiveOptions } from './receiving.js';
import type { Credentials, Transport } from './transport.js';
import type { Message, ProtobufDecoder, ProtobufEncoder, Status, ValueType } from './values.js';
import * as values from './values.js';
import { Tag } from './wire.generated.js';

const nothing = new Uint8Array();

function channelOver(transport: Transport): Channel {
  if (typeof transport?.receive !== 'function' || typeof transport.send !== 'function') {
    throw new TypeError(
      `new Comms: a transport, or the number of a socket, is needed, not ${kindOf(transport)}`,
    );
  }
  return new Channel(transport);
}

/**
 * A typed channel between two processes over a transport.
 *
 * A send resolves when the kernel has taken the message; sends keep their order. Receives are served in the order in
 * which they were called. A typed receive fails with TAG_MISMATCH, BAD_LENGTH or INVALID_VALUE if the next message has
 * another tag or an invalid payload, and leaves the message for the next receive. Every failure is a CommsError, except
 * that a wrong argument is a TypeError or RangeError; then nothing was sent or received.
 *
 * A …Sync call blocks the event loop while it waits. A synchronous receive fails with BUSY while asynchronous ones are
 * pending, because it would overtake them. A synchronous send also sends everything that is pending, and waits for as
 * long as the other end reads nothing.
 */
export class Comms extends IntegerComms {
  readonly #channel: Channel;
  #valueLimit = defaultValueLimit;
  #structured = values.structured(this.#valueLimit);

  /** Takes ownership of the transport: it is closed with the channel. */
  constructor(transport: Transport) {
    const channel = channelOver(transport);
    super(channel);
    this.#channel = channel;
  }

  #send<T>(type: ValueType<T>, value: T): Promise<void> {
    return this.#channel.sendValue(type, value);
  }
  #sendSync<T>(type: ValueType<T>, value: T): void {
    this.#channel.sendValueSync(type, value);
  }
  #recv<T>(what: Receiving<T>, options: ReceiveOptions | undefined): Promise<T> {
    return this.#channel.receive(what, options);
  }
  #recvSync<T>(what: Receiving<T>, options: SyncReceiveOptions | undefined): T {
    return this.#channel.receiveSync(what, options);
  }

  /** True while both directions still work, as far as this end knows. */
  get isConnected(): boolean {
    return this.#channel.isConnected;
  }

  /** The longest payload that is accepted, in bytes: 256 MiB unless set; at most 2^31 − 1. */
  get payloadLimit(): number {
    return this.#channel.payloadLimit;
  }

  set payloadLimit(bytes: number) {
    this.#channel.payloadLimit = bytes;
  }

  /**
   * How many values a structured value (recvValue) may hold, nested values and keys included: 1,048,576 unless set.
   * Each may take some 200 bytes of the heap once it is decoded. A typed array counts as one.
   */
  get valueLimit(): number {
    return this.#valueLimit;
  }

  set valueLimit(count: number) {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new RangeError(`Comms.valueLimit: a whole number from 1 up is needed, not ${count}`);
    }
    this.#valueLimit = count;
    this.#structured = values.structured(count);
  }

  /** Bytes that were sent but not yet taken by the kernel. Await the sends to keep them few. */
  get pendingBytes(): number {
    return this.#channel.pendingBytes;
  }

  /**
   * A send fails with BUSY while more bytes than this wait for the kernel: 64 MiB unless set. Each waiting send counts
   * as 400 bytes more, which is about what its promise takes.
   */
  get highWaterMark(): number {
    return this.#channel.highWaterMark;
  }

  set highWaterMark(bytes: number) {
    this.#channel.highWaterMark = bytes;
  }

  /**
   * The process that made the other end (SO_PEERCRED). NO_CREDENTIALS if the transport does not know it.
   * For the comms of a sandbox it names the host's user, and the pid of a process that has ended.
   */
  peerCredentials(): Credentials {
    const operation = 'peerCredentials';
    const transport = this.#openTransport(operation);
    const credentials = transport.peerCredentials?.();
    if (credentials !== undefined) return credentials;
    const why = 'this transport does not know who the other end is';
    throw new CommsError('NO_CREDENTIALS', why, { operation, peer: transport.name });
  }

  #openTransport(operation: string): Transport {
    const { transport } = this.#channel;
    if (transport.isOpen) return transport;
    throw new CommsError('CLOSED', 'the channel was closed here', { operation, peer: transport.name });
  }

  /** Resolves when the kernel has taken everything sent so far; rejects if some of it could not be sent. */
  flush(): Promise<void> {
    return this.#channel.flush();
  }

  sendBool(value: boolean): Promise<void> {
    return this.#send(values.bool, value);
  }
  sendBoolSync(value: boolean): void {
    this.#sendSync(values.bool, value);
  }
  recvBool(options?: ReceiveOptions): Promise<boolean> {
    return this.#recv(values.bool, options);
  }
  recvBoolSync(options?: SyncReceiveOptions): boolean {
    return this.#recvSync(values.bool, options);
  }

  /** Text as UTF-8; embedded NULs are fine. */
  sendString(text: string): Promise<void> {
    return this.#send(values.string, text);
  }
  sendStringSync(text: string): void {
    this.#sendSync(values.string, text);
  }
  /** Fails with INVALID_VALUE if it is not UTF-8; recvStringBytes takes any. */
  recvString(options?: ReceiveOptions): Promise<string> {
    return this.#recv(values.string, options);
  }
  recvStringSync(options?: SyncReceiveOptions): string {
    return this.#recvSync(values.string, options);
  }

  /** A String message whose bytes need not be UTF-8. They must not change until the send has resolved. */
  sendStringBytes(bytes: Uint8Array): Promise<void> {
    return this.#send(values.stringBytes, bytes);
  }
  sendStringBytesSync(bytes: Uint8Array): void {
    this.#sendSync(values.stringBytes, bytes);
  }
  recvStringBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#recv(values.stringBytes, options);
  }
  recvStringBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#recvSync(values.stringBytes, options);
  }

  /** The bytes must not change until the send has resolved. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    return this.#send(values.bytes, bytes);
  }
  sendBytesSync(bytes: Uint8Array): void {
    this.#sendSync(values.bytes, bytes);
  }
  recvBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#recv(values.bytes, options);
  }
  recvBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#recvSync(values.bytes, options);
  }

  /**
   * Receives bytes into the caller's memory, from its beginning; resolves with their number. If they do not fit, it
   * fails with TOO_LARGE and the message stays unread. If the memory is detached or made smaller in the middle of a
   * message, the channel ends with TRUNCATED, because a part of the message is lost; the same holds for a send.
   */
  recvBytesInto(target: Uint8Array, options?: ReceiveOptions): Promise<number> {
    return promised(() => this.#recv(values.bytesInto(target), options));
  }
  recvBytesIntoSync(target: Uint8Array, options?: SyncReceiveOptions): number {
    return this.#recvSync(values.bytesInto(target), options);
  }

  /** Sends a protobuf message that is already encoded. */
  sendProtobufBytes(bytes: Uint8Array): Promise<void> {
    return this.#send(values.protobufBytes, bytes);
  }
  sendProtobufBytesSync(bytes: Uint8Array): void {
    this.#sendSync(values.protobufBytes, bytes);
  }
  recvProtobufBytes(options?: ReceiveOptions): Promise<Uint8Array> {
    return this.#recv(values.protobufBytes, options);
  }
  recvProtobufBytesSync(options?: SyncReceiveOptions): Uint8Array {
    return this.#recvSync(values.protobufBytes, options);
  }

  /** Takes any type of protobufjs, static or reflected, or of another library with encode() and decode(). */
  sendProtobuf<T>(type: ProtobufEncoder<T>, message: T): Promise<void> {
    const operation = 'sendProtobuf';
    return promised(() =>
      this.#channel.send(operation, Tag.Proto2, values.encodeProtobuf(operation, type, message)),
    );
  }
  sendProtobufSync<T>(type: ProtobufEncoder<T>, message: T): void {
    const operation = 'sendProtobuf';
    this.#channel.sendSync(operation, Tag.Proto2, values.encodeProtobuf(operation, type, message));
  }
  /** INVALID_VALUE if the type cannot decode it. */
  recvProtobuf<T>(type: ProtobufDecoder<T>, options?: ReceiveOptions): Promise<T> {
    return promised(() => this.#recv(values.protobuf(type), options));
  }
  recvProtobufSync<T>(type: ProtobufDecoder<T>, options?: SyncReceiveOptions): T {
    return this.#recvSync(values.protobuf(type), options);
  }

  sendStatus(status: Status): Promise<void> {
    return this.#send(values.status, status);
  }
  sendStatusSync(status: Status): void {
    this.#sendSync(values.status, status);
  }
  /** INVALID_VALUE if the protobuf message is not a status, TOO_LARGE above 4 MiB. */
  recvStatus(options?: ReceiveOptions): Promise<Status> {
    return this.#recv(values.status, options);
  }
  recvStatusSync(options?: SyncReceiveOptions): Status {
    return this.#recvSync(values.status, options);
  }

  /**
   * Sends a structured value. null, undefined, booleans, numbers, BigInts, strings, arrays, plain objects, Map, Set,
   * Date, typed arrays, ArrayBuffer and DataView arrive as what they are. A Buffer arrives as a Uint8Array, -0 as 0,
   * holes of an array as undefined, a getter as its value, an object with Object.prototype, such as \`arguments\` or
   * Math, as a plain object. Of an object its own enumerable properties are sent. Properties whose key is a symbol are
   * left out silently, and so is every property that an array, a Map, a Set, a Date or a typed array has besides its
   * contents. Rejects (sendValueSync throws) with TypeError for what would arrive as something else: functions,
   * symbols, instances of classes (Error and RegExp too; and Map, Set, Date and typed arrays of another realm), a value
   * that contains itself or is nested deeper than 512, the key "__keys__".
   */
  sendValue(value: unknown): Promise<void> {
    return this.#send(this.#structured, value);
  }
  sendValueSync(value: unknown): void {
    this.#sendSync(this.#structured, value);
  }
  /**
   * INVALID_VALUE if it is not a MessagePack value in the forms of PROTOCOL.md, or if its keys were chosen to collide;
   * TOO_LARGE if it holds more values than valueLimit. A key "__proto__" becomes a property like any other.
   */
  recvValue(options?: ReceiveOptions): Promise<unknown> {
    return this.#recv(this.#structured, options);
  }
  recvValueSync(options?: SyncReceiveOptions): unknown {
    return this.#recvSync(this.#structured, options);
  }

  sendBarrier(): Promise<void> {
    return this.#send(values.barrier, undefined);
  }
  sendBarrierSync(): void {
    this.#sendSync(values.barrier, undefined);
  }
  recvBarrier(options?: ReceiveOptions): Promise<void> {
    return this.#recv(values.barrier, options);
  }
  recvBarrierSync(options?: SyncReceiveOptions): void {
    this.#recvSync(values.barrier, options);
  }

  /**
   * Sends a duplicate of a file descriptor: a number, or an object with an fd, such as a FileHandle or a Buffer. The
   * caller still owns it and must not close it before the send has resolved. If it is not open, only this send fails,
   * with SYSTEM.
   */
  sendFd(fd: number | { readonly fd: number }): Promise<void> {
    return promised(() => this.#channel.send('sendFd', Tag.Fd, nothing, fdNumber(fd)));
  }
  sendFdSync(fd: number | { readonly fd: number }): void {
    this.#channel.sendSync('sendFd', Tag.Fd, nothing, fdNumber(fd));
  }
  /**
   * The fd is close-on-exec, and the caller must close it. In a worker thread Node warns of an fd that it did not open,
   * unless the worker was made with trackUnmanagedFds: false.
   */
  recvFd(options?: ReceiveOptions): Promise<number> {
    return this.#recv(values.fd, options);
  }
  recvFdSync(options?: SyncReceiveOptions): number {
    return this.#recvSync(values.fd, options);
  }

  /**
   * Makes the kernel report who wrote what is received from now on (SO_PASSCRED). Call it before the other end sends.
   * In a sandbox it needs a policy that allows setsockopt(), which allowComms() does not.
   */
  enableCredentials(): void {
    const operation = 'enableCredentials';
    const transport = this.#openTransport(operation);
    if (transport.enableCredentials === undefined) {
      const why = 'this transport does not support credentials';
      throw new CommsError('UNSUPPORTED', why, { operation, peer: transport.name });
    }
    transport.enableCredentials();
  }
  /** The kernel adds this process's credentials, if the other end has enabled them. */
  sendCredentials(): Promise<void> {
    return this.#channel.send('sendCredentials', Tag.Creds, nothing);
  }
  sendCredentialsSync(): void {
    this.#channel.sendSync('sendCredentials', Tag.Creds, nothing);
  }
  /**
   * The process that sent the message, as the kernel reports it. NO_CREDENTIALS if it came without them, because they
   * were not enabled when it was sent, or if the sender cannot be seen from this process's pid namespace.
   */
  recvCredentials(options?: ReceiveOptions): Promise<Credentials> {
    return this.#recv(values.credentials, options);
  }
  recvCredentialsSync(options?: SyncReceiveOptions): Credentials {
    return this.#recvSync(values.credentials, options);
  }

  /** Sends a message of your own type; its tag is below 0x80000000 and not 0x5357xxxx. */
  sendTlv(tag: number, payload: Uint8Array): Promise<void> {
    return promised(() => {
      checkUserTag('sendTlv', tag);
      return this.#channel.send('sendTlv', tag, payload);
    });
  }
  sendTlvSync(tag: number, payload: Uint8Array): void {
    checkUserTag('sendTlv', tag);
    this.#channel.sendSync('sendTlv', tag, payload);
  }
  /** The payload of the next message, which must have this tag. For file descriptors use recvFd. */
  recvTlv(tag: number, options?: ReceiveOptions): Promise<Uint8Array> {
    return promised(() => this.#recv(values.tlv(tag), options));
  }
  recvTlvSync(tag: number, options?: SyncReceiveOptions): Uint8Array {
    return this.#recvSync(values.tlv(tag), options);
  }

  /** The version message of a handshake. */
  sendVersion(version: string): Promise<void> {
    return this.#send(values.version, version);
  }
  sendVersionSync(version: string): void {
    this.#sendSync(values.version, version);
  }
  recvVersion(options?: ReceiveOptions): Promise<string> {
    return this.#recv(values.version, options);
  }
  recvVersionSync(options?: SyncReceiveOptions): string {
    return this.#recvSync(values.version, options);
  }

  /** Declines the upgrade to shared memory that a handshake offers. */
  sendNoUpgrade(): Promise<void> {
    return this.#channel.send('sendNoUpgrade', Tag.CommsNoUpgrade, nothing);
  }

  /** The next message, whatever it is. */
  recvMessage(options?: ReceiveOptions): Promise<Message> {
    return this.#recv(values.anyMessage, options);
  }
  recvMessageSync(options?: SyncReceiveOptions): Message {
    return this.#recvSync(values.anyMessage, options);
  }

  /**
   * Sends a message and receives the next one, whatever it is. timeoutMs and signal hold for both. If they end the call
   * while the message is being sent, the rest is still sent, because the other end has a part of it; the caller owns
   * the bytes again.
   */
  exchange(tag: number, payload: Uint8Array, options?: ReceiveOptions): Promise<Message> {
    return promised(() => {
      checkUserTag('exchange', tag);
      return this.#channel.exchange(tag, payload, values.exchanged, options);
    });
  }
  exchangeSync(tag: number, payload: Uint8Array, options?: SyncReceiveOptions): Message {
    checkUserTag('exchange', tag);
    return this.#channel.exchangeSync(tag, payload, values.exchanged, options);
  }

  /**
   * Yields every message until the channel is closed between two messages; any other end throws. The caller owns the
   * fds. The channel itself can be iterated too: for await (const message of comms).
   */
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

  [Symbol.asyncIterator](): AsyncGenerator<Message, void, void> {
    return this.messages();
  }

  /** The tag of the next message, which stays unread. */
  peekTag(options?: ReceiveOptions): Promise<number> {
    return this.#recv(values.tagOnly, options);
  }
  peekTagSync(options?: SyncReceiveOptions): number {
    return this.#recvSync(values.tagOnly, options);
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

function fdNumber(fd: number | { readonly fd: number }): number {
  const number: unknown = typeof fd === 'number' ? fd : fd?.fd;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0) return number;
  const what = typeof number === 'number' ? number : kindOf(fd);
  throw new TypeError(`sendFd: an open file descriptor is needed, not ${what}`);
}
