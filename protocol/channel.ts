// Messages over a transport: queues, waiting, errors. It knows tags and payloads but no value types (see comms.ts).
import { AbortWatch } from './abort.js';
import { numberOrKind, promised, refusalOfBytes } from './arguments.js';
import { writeHeader } from './codec.js';
import { CommsError, type CommsErrorCode, tagName } from './errors.js';
import { Inbox, InboxMessage } from './inbox.js';
import { copiedSize, Outbox } from './outbox.js';
import {
  BadPayload,
  type ReceiveOptions,
  type Receiving,
  type SyncReceiveOptions,
  waitMs,
  waitSyncMs,
} from './receiving.js';
import type { ReceiveCall, SendCall, Transport } from './transport.js';
import type { ValueType } from './values.js';
import { Tag, WireLimit } from './wire.generated.js';

const nothing = new Uint8Array();

interface Receiver {
  readonly what: Receiving<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  cleanUp: (() => void) | undefined;
}

const failureTexts: Record<string, string> = {
  BAD_LENGTH: 'a file descriptor message with a payload arrived',
  NO_FD: 'a file descriptor message without a descriptor arrived',
  SURPLUS_FD: 'file descriptors arrived that no message announced; they were closed',
};

/** Runs a callback as a microtask; Node's queueMicrotask() takes several times as long. */
const settled = Promise.resolve();

const piecesPerTurn = 16;
/** How often per turn of the event loop an answer is looked for right after a send. */
const earlyAnswersPerTurn = 16;

export class Channel {
  readonly #transport: Transport;
  readonly #inbox = new Inbox();
  readonly #outbox = new Outbox();
  readonly #receivers: Receiver[] = [];
  readonly #aborts = new AbortWatch();
  readonly #message = new InboxMessage();
  // One object for all calls, since each call would otherwise need a new one.
  readonly #receiveCall: ReceiveCall = {
    into: nothing,
    offset: 0,
    length: 0,
    fds: [],
    wait: false,
    timeoutMs: -1,
  };
  readonly #sendCall: SendCall = { bytes: nothing, offset: 0, length: 0, fd: -1, wait: false, timeoutMs: -1 };
  readonly #flushAfterTick = () => {
    this.#flushScheduled = false;
    this.#flush(false);
    this.#receiveEarly();
  };
  readonly #watchAfterTick = () => {
    this.#watchScheduled = false;
    this.#updateWatch();
  };
  readonly #onReady = (readable: boolean, writable: boolean) => this.#ready(readable, writable);
  #highWaterMark = 64 << 20;
  #failure: { code: CommsErrorCode; why: string; cause?: unknown } | undefined;
  #atEnd = false;
  #sendingEnded = false;
  #flushScheduled = false;
  #watchScheduled = false;
  #watchedReadable = false;
  #watchedWritable = false;
  #earlyAnswersLeft = earlyAnswersPerTurn;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get transport(): Transport {
    return this.#transport;
  }

  get isConnected(): boolean {
    return this.#failure === undefined && !this.#atEnd && this.#transport.isOpen;
  }

  get payloadLimit(): number {
    return this.#inbox.payloadLimit;
  }

  set payloadLimit(bytes: number) {
    if (!Number.isInteger(bytes) || bytes < 0 || bytes > WireLimit.MAX_PAYLOAD) {
      throw new RangeError(`payloadLimit: 0 to ${WireLimit.MAX_PAYLOAD} bytes, not ${bytes}`);
    }
    this.#inbox.payloadLimit = bytes;
  }

  get pendingBytes(): number {
    return this.#outbox.pending;
  }

  get highWaterMark(): number {
    return this.#highWaterMark;
  }

  set highWaterMark(bytes: number) {
    if (!(bytes >= 0)) throw new RangeError(`highWaterMark: bytes, not ${bytes}`);
    this.#highWaterMark = bytes;
  }

  // --- sending -----------------------------------------------------------------------------------------------

  send(operation: string, tag: number, payload: Uint8Array, fd = -1): Promise<void> {
    const refusal = this.#refusal(operation, payload);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.#outbox.add(tag, payload, fd, { operation, resolve, reject });
      if (this.#flushScheduled || this.#watchedWritable) return;
      this.#flushScheduled = true;
      // This runs after all sends of this tick, and before the event loop waits.
      void settled.then(this.#flushAfterTick);
    });
  }

  /** Sends a value as a message of its type; resolves as send() does. */
  sendValue<T>(type: ValueType<T>, value: T): Promise<void> {
    return promised(() => this.send(type.sendOperation, type.tag, type.encode(value)));
  }

  sendValueSync<T>(type: ValueType<T>, value: T): void {
    this.sendSync(type.sendOperation, type.tag, type.encode(value));
  }

  sendSync(operation: string, tag: number, payload: Uint8Array, fd = -1): void {
    const refusal = this.#refusal(operation, payload);
    if (refusal !== undefined) throw refusal;
    this.#checkMayBlock(operation);
    if (fd < 0 && this.#outbox.pending === 0 && payload.length <= copiedSize) {
      this.#sendSmall(operation, tag, payload);
      return;
    }
    this.#sendAndWait(forever, operation, tag, payload, fd);
  }

  /** Sends a checked message after everything that was pending. Returns false if the deadline passed first. */
  #sendAndWait(deadline: number, operation: string, tag: number, payload: Uint8Array, fd: number): boolean {
    let isSent = false;
    let failure: Error | undefined;
    const waiting = {
      operation,
      resolve: () => {
        isSent = true;
      },
      reject: (error: Error) => {
        failure = error;
      },
    };
    this.#outbox.add(tag, payload, fd, waiting);
    this.#flush(true, deadline);
    if (failure !== undefined) throw failure;
    return isSent;
  }

  /** As Transport.send() for bytes[start, end). */
  #sendBytes(
    bytes: Uint8Array,
    start: number,
    end: number,
    fd: number,
    wait: boolean,
    timeoutMs: number,
  ): number {
    const call = this.#sendCall;
    call.bytes = bytes;
    call.offset = start;
    call.length = end - start;
    call.fd = fd;
    call.wait = wait;
    call.timeoutMs = timeoutMs;
    const count = this.#transport.send(call);
    call.bytes = nothing; // they may be the caller's, and large
    return count;
  }

  #sendSmall(operation: string, tag: number, payload: Uint8Array): void {
    const { scratch } = this.#outbox;
    writeHeader(scratch, 0, tag, payload.length);
    const end = WireLimit.HEADER_SIZE + payload.length;
    if (payload.length <= 8)
      for (let i = 0; i < payload.length; i++) scratch[WireLimit.HEADER_SIZE + i] = payload[i] ?? 0;
    else scratch.set(payload, WireLimit.HEADER_SIZE);
    let sent = 0;
    try {
      while (sent < end) sent += this.#sendBytes(scratch, sent, end, -1, true, -1);
    } catch (error) {
      this.#failSending(error);
      throw this.#errorOf(operation);
    }
  }

  /** Resolves when the kernel has taken everything sent so far. */
  flush(): Promise<void> {
    const operation = 'flush';
    if (this.#cannotSend) return Promise.reject(this.#errorOf(operation));
    return new Promise((resolve, reject) => this.#outbox.whenSent({ operation, resolve, reject }));
  }

  get #cannotSend(): boolean {
    return this.#failure !== undefined || this.#sendingEnded;
  }

  #refusal(operation: string, payload: Uint8Array): Error | undefined {
    const wrong = refusalOfBytes(operation, payload);
    if (wrong !== undefined) return wrong;
    if (this.#cannotSend) return this.#errorOf(operation);
    if (payload.length > WireLimit.MAX_PAYLOAD) {
      return this.#error(
        'TOO_LARGE',
        operation,
        `${payload.length} bytes are more than ${WireLimit.MAX_PAYLOAD}`,
      );
    }
    if (this.#outbox.held > this.#highWaterMark) {
      const why = `${this.#outbox.held} bytes wait to be sent already; await the sends`;
      return this.#error('BUSY', operation, why);
    }
    return undefined;
  }

  #flush(wait: boolean, deadline = forever): void {
    for (;;) {
      const segment = this.#outbox.first;
      if (segment === undefined) break;
      const { bytes, start, end, fd } = segment;
      if (bytes.length < end) {
        // The other end may have a part of the message and will never get the rest.
        const operation = segment.waiting[0]?.operation ?? 'a send';
        this.#fail(
          'TRUNCATED',
          `the bytes given to ${operation} were detached or shrunk before all were sent`,
        );
        return;
      }
      let count: number;
      try {
        count = this.#sendBytes(bytes, start, end, fd, wait, leftUntil(deadline));
      } catch (error) {
        if (fd < 0 || isEndOfSending(error)) {
          this.#failSending(error);
          return;
        }
        // This fd cannot be sent (EBADF, for example). Nothing of its message was sent, so the stream is still in sync.
        this.#outbox.giveUpFirst((operation) =>
          this.#error('SYSTEM', operation, `fd ${fd} cannot be sent: ${messageOf(error)}`, error),
        );
        continue;
      }
      if (count < 0) break;
      this.#outbox.sent(count);
      if (!wait && count < end - start) break; // the kernel has no more room
    }
    this.#updateWatch();
  }

  /** The other end reads no more. What it sent before can still be received. */
  #failSending(error: unknown): void {
    if (!isEndOfSending(error)) {
      this.#failSystem(error);
      return;
    }
    this.#sendingEnded = true;
    this.#outbox.fail((operation) => this.#error('CLOSED', operation, 'the other end has closed', error));
    this.#updateWatch();
  }

  // --- receiving ---------------------------------------------------------------------------------------------

  receive<T>(what: Receiving<T>, options: ReceiveOptions | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const receiver: Receiver = { what, resolve, reject, cleanUp: undefined };
      if (options !== undefined && this.#arm(receiver, options)) return;
      this.#receivers.push(receiver);
      if (this.#receivers.length === 1) this.#serve();
      this.#updateWatch();
    });
  }

  /**
   * Sends, and receives the next message that no earlier receive takes. If it cannot send, it does not wait for an
   * answer. A caller that gives up while its payload is being sent gets the payload's memory back, because the unsent
   * rest is copied.
   */
  exchange<T>(
    tag: number,
    payload: Uint8Array,
    what: Receiving<T>,
    options: ReceiveOptions | undefined,
  ): Promise<T> {
    const refusal = this.#refusal(what.operation, payload) ?? this.#refusalToWait(what.operation, options);
    if (refusal !== undefined) return Promise.reject(refusal);
    const answer = this.receive(what, options);
    // If the send fails, the answer never comes; the error of the send says why.
    answer.catch(() => {});
    const sent = this.send(what.operation, tag, payload);
    if (options === undefined) return sent.then(() => answer);
    let isSent = false;
    const done = sent.then(() => {
      isSent = true;
    });
    const both = Promise.all([answer, done]).then(([message]) => message);
    both.catch(() => {
      if (!isSent) this.#outbox.copyRest(payload);
    });
    return both;
  }

  exchangeSync<T>(
    tag: number,
    payload: Uint8Array,
    what: Receiving<T>,
    options: SyncReceiveOptions | undefined,
  ): T {
    const { operation } = what;
    const timeoutMs = waitSyncMs(operation, options);
    this.#checkNobodyWaits(operation);
    const deadline = deadlineOf(timeoutMs);
    if (timeoutMs < 0) this.sendSync(operation, tag, payload);
    else this.#sendBefore(deadline, timeoutMs, operation, tag, payload);
    return this.#receiveBefore(deadline, timeoutMs, what);
  }

  #sendBefore(
    deadline: number,
    timeoutMs: number,
    operation: string,
    tag: number,
    payload: Uint8Array,
  ): void {
    const refusal = this.#refusal(operation, payload);
    if (refusal !== undefined) throw refusal;
    if (this.#sendAndWait(deadline, operation, tag, payload, -1)) return;
    this.#outbox.copyRest(payload);
    const why = `not all could be sent within ${timeoutMs} ms; the rest follows when there is room`;
    throw this.#error('TIMEOUT', operation, why);
  }

  #checkMayBlock(operation: string): void {
    const why = this.#transport.refusalToBlock?.();
    if (why !== undefined) throw this.#error('BUSY', operation, why);
  }

  #checkNobodyWaits(operation: string): void {
    this.#checkMayBlock(operation);
    if (this.#receivers.length === 0) return;
    const why = 'asynchronous receives are pending; a synchronous one would overtake them';
    throw this.#error('BUSY', operation, why);
  }

  /** Throws TypeError or RangeError for invalid options. Returns an error if the signal is aborted already. */
  #refusalToWait(operation: string, options: ReceiveOptions | undefined): CommsError | undefined {
    waitMs(operation, options);
    if (!options?.signal?.aborted) return undefined;
    return this.#error('ABORTED', operation, 'aborted by the caller', options.signal.reason);
  }

  /** Starts the timeout and watches the signal. Returns true if the receive was rejected at once. */
  #arm(receiver: Receiver, options: ReceiveOptions): boolean {
    const { operation } = receiver.what;
    const refusal = this.#refusalToWait(operation, options);
    if (refusal !== undefined) {
      receiver.reject(refusal);
      return true;
    }
    const { timeoutMs, signal } = options;
    const limitMs = waitMs(operation, options);
    const giveUp = (error: CommsError) => {
      const place = this.#receivers.indexOf(receiver);
      if (place < 0) return;
      this.#receivers.splice(place, 1);
      const isKept = place > 0 || this.#inbox.releaseTarget();
      receiver.cleanUp?.();
      receiver.reject(error);
      if (!isKept) this.#failLost();
      this.#serve();
      this.#updateWatch();
    };
    const onAbort = () => giveUp(this.#error('ABORTED', operation, 'aborted by the caller', signal?.reason));
    if (signal !== undefined) this.#aborts.add(signal, onAbort);
    const onTimeout = () => {
      // The message may have come in time while the event loop was busy with something else.
      this.#receiveWhatIsThere();
      this.#updateWatchAfterTick();
      giveUp(this.#error('TIMEOUT', operation, `nothing came within ${timeoutMs} ms`));
    };
    const timer = limitMs < 0 ? undefined : setTimeout(onTimeout, limitMs);
    receiver.cleanUp = () => {
      clearTimeout(timer);
      if (signal !== undefined) this.#aborts.remove(signal, onAbort);
    };
    return false;
  }

  receiveSync<T>(what: Receiving<T>, options: SyncReceiveOptions | undefined): T {
    const { operation } = what;
    const timeoutMs = waitSyncMs(operation, options);
    this.#checkNobodyWaits(operation);
    return this.#receiveBefore(deadlineOf(timeoutMs), timeoutMs, what);
  }

  #receiveBefore<T>(deadline: number, timeoutMs: number, what: Receiving<T>): T {
    const { operation } = what;
    for (;;) {
      const ready = what.decode === undefined ? this.#peekable() : this.#hasMessage();
      if (ready) return this.#takeFor(what);
      if (this.#failure !== undefined || this.#atEnd) throw this.#errorOf(operation);
      if (!this.#fill(true, leftUntil(deadline), what) && this.#failure === undefined && !this.#atEnd) {
        this.#inbox.releaseTarget();
        throw this.#error('TIMEOUT', operation, `nothing came within ${timeoutMs} ms`);
      }
    }
  }

  #peekable(): boolean {
    if (this.#failure !== undefined) return false;
    const state = this.#inbox.state();
    return state === 'message' || (state === 'more' ? this.#inbox.hasHeader : this.#broken(state));
  }

  /** True if a whole message has arrived. A stream that has lost its framing fails here. */
  #hasMessage(): boolean {
    if (this.#failure !== undefined) return false;
    const state = this.#inbox.state();
    return state === 'message' || (state !== 'more' && this.#broken(state));
  }

  #broken(state: string): false {
    const why =
      state === 'TOO_LARGE'
        ? `a ${tagName(this.#inbox.tag())} message longer than ${this.#inbox.payloadLimit} bytes was announced`
        : (failureTexts[state] ?? state);
    this.#fail(state as CommsErrorCode, why);
    return false;
  }

  /** Takes the message that has arrived if it is the wanted one; otherwise the message stays. Throws CommsError. */
  #takeFor<T>({ operation, tag: expectedTag, decode }: Receiving<T>): T {
    const tag = this.#inbox.tag();
    if (decode === undefined) return tag as T;
    if (expectedTag !== undefined && tag !== expectedTag) {
      throw new CommsError(
        'TAG_MISMATCH',
        `expected ${tagName(expectedTag)}, met ${tagName(tag)}; the message is still there`,
        { operation, peer: this.#transport.name, expectedTag, metTag: tag },
      );
    }
    const message = this.#message;
    this.#inbox.peek(message);
    // The inbox held no complete message when it last received, so the end of this message came with that last receive.
    message.credentials = tag === Tag.Creds ? this.#transport.writerCredentials?.() : undefined;
    try {
      const value = decode(message);
      this.#inbox.take();
      return value;
    } catch (error) {
      if (error instanceof BadPayload) throw this.#error(error.code, operation, error.message);
      throw error;
    }
  }

  /** Receives once from the transport. Returns false if nothing came. */
  #fill(wait: boolean, timeoutMs: number, { tag, target }: Receiving<unknown>): boolean {
    const takesTarget = target !== undefined && this.#inbox.hasHeader && this.#inbox.tag() === tag;
    const offset = this.#inbox.prepare(takesTarget ? target : undefined);
    const { buffer, room } = this.#inbox;
    if (room <= 0) {
      this.#failLost();
      return true;
    }
    try {
      const call = this.#receiveCall;
      call.into = buffer;
      call.offset = offset;
      call.length = room;
      call.wait = wait;
      call.timeoutMs = timeoutMs;
      const count = this.#transport.receive(call);
      call.into = nothing; // it may be the caller's, and large
      const fd = call.fds.pop() ?? -1;
      if (count < 0) return false;
      if (count === 0) {
        this.#atEnd = true;
        if (this.#inbox.isMidMessage)
          this.#fail('TRUNCATED', 'the other end closed in the middle of a message');
        return true;
      }
      if (!this.#inbox.arrived(count, fd)) {
        this.#transport.closeFd(fd);
        this.#fail('SURPLUS_FD', failureTexts['SURPLUS_FD'] ?? '');
      }
      return true;
    } catch (error) {
      this.#failSystem(error);
      return true;
    }
  }

  /** Hands the messages that have arrived to the waiting receivers. */
  #serve(): void {
    for (;;) {
      const receiver = this.#receivers[0];
      if (receiver === undefined) return;
      const { what } = receiver;
      const ready = what.decode === undefined ? this.#peekable() : this.#hasMessage();
      if (!ready) {
        if (this.#failure === undefined && !this.#atEnd) return;
        this.#receivers.shift();
        receiver.cleanUp?.();
        receiver.reject(this.#errorOf(what.operation));
        continue;
      }
      this.#receivers.shift();
      receiver.cleanUp?.();
      try {
        receiver.resolve(this.#takeFor(what) as never);
      } catch (error) {
        receiver.reject(error as Error);
      }
    }
  }

  #receiveWhatIsThere(): void {
    // A large payload comes in pieces. While they come, the event loop need not be asked for each one. The number per
    // turn is limited, so that a sandboxee that never stops sending cannot keep the event loop from other work.
    for (let piece = 0; piece < piecesPerTurn; piece++) {
      const receiver = this.#receivers[0];
      if (receiver === undefined || this.#failure !== undefined || this.#atEnd) return;
      if (!this.#fill(false, -1, receiver.what)) return;
      this.#serve();
      if (!this.#inbox.isLarge) return;
    }
  }

  /**
   * When both ends share a core, the other end has often answered by the time a send returns. Looking for the answer
   * then saves the way through the event loop. The number of looks per turn is limited, because the event loop has
   * other work too.
   */
  #receiveEarly(): void {
    if (this.#receivers.length === 0 || this.#earlyAnswersLeft === 0) return;
    this.#earlyAnswersLeft--;
    this.#receiveWhatIsThere();
    this.#updateWatchAfterTick();
  }

  #ready(readable: boolean, writable: boolean): void {
    this.#earlyAnswersLeft = earlyAnswersPerTurn;
    if (writable) this.#flush(false);
    if (readable) this.#receiveWhatIsThere();
    this.#updateWatchAfterTick();
  }

  #updateWatchAfterTick(): void {
    if (this.#watchScheduled) return;
    this.#watchScheduled = true;
    // A caller that was served usually receives again at once; then the watch need not change.
    void settled.then(this.#watchAfterTick);
  }

  /** Watches only what a caller waits for, so that an idle channel does not keep the process alive. */
  #updateWatch(): void {
    if (!this.#transport.isOpen) return;
    const alive = this.#failure === undefined;
    const readable = alive && !this.#atEnd && this.#receivers.length > 0;
    const writable = alive && this.#outbox.pending > 0 && !this.#flushScheduled;
    if (readable === this.#watchedReadable && writable === this.#watchedWritable) return;
    this.#watchedReadable = readable;
    this.#watchedWritable = writable;
    this.#transport.watch(readable, writable, this.#onReady);
  }

  // --- ending ------------------------------------------------------------------------------------------------

  #error(code: CommsErrorCode, operation: string, why: string, cause?: unknown): CommsError {
    return new CommsError(code, why, { operation, peer: this.#transport.name, cause });
  }

  #errorOf(operation: string): CommsError {
    const { code, why, cause } = this.#failure ?? {
      code: 'CLOSED' as const,
      why: 'the other end has closed',
      cause: undefined,
    };
    return this.#error(code, operation, why, cause);
  }

  #failSystem(error: unknown): void {
    const code = systemCode(error);
    const why = messageOf(error);
    if (code === 'ECONNRESET') this.#fail('CLOSED', 'the other end has closed', error);
    else this.#fail(code === 'SURPLUS_FD' ? 'SURPLUS_FD' : 'SYSTEM', why, error);
  }

  /** Ends the channel: every waiting call is rejected, and so is every later one. */
  #fail(code: CommsErrorCode, why: string, cause?: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { code, why, cause };
    this.#dropFds();
    this.#outbox.fail((operation) => this.#errorOf(operation));
    this.#updateWatch();
    this.#serve();
  }

  #failLost(): void {
    const why =
      'the memory given to recvBytesInto was detached or shrunk, with the part of a message it held';
    this.#fail('TRUNCATED', why);
  }

  #dropFds(): void {
    const fd = this.#inbox.dropFd();
    if (fd >= 0) this.#transport.closeFd(fd);
  }

  close(): void {
    this.#fail('CLOSED', 'the channel was closed here');
    this.#transport.close();
  }
}

const forever = Number.POSITIVE_INFINITY;

/** A deadline on the clock of performance.now(). */
const deadlineOf = (timeoutMs: number): number => (timeoutMs < 0 ? forever : performance.now() + timeoutMs);

/** Milliseconds; -1: without limit. */
const leftUntil = (deadline: number): number =>
  deadline === forever ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** True if the other end reads no more. */
function isEndOfSending(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EPIPE' || code === 'ECONNRESET';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Tags users may send with sendTlv: below the reserved ones. */
export function checkUserTag(operation: string, tag: number): void {
  const isNumber = Number.isInteger(tag) && tag >= 0 && tag < WireLimit.FIRST_RESERVED_TAG;
  if (!isNumber || tag >>> 16 === WireLimit.OWN_TAG_PREFIX) {
    throw new RangeError(
      `${operation}: a tag from 0 to 0x7fffffff is needed (0x5357xxxx are sandwire's own), not ${numberOrKind(tag)}`,
    );
  }
}
