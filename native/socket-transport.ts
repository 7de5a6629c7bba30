// The transport under Comms that is a real socket.
import type { Credentials, ReceiveCall, SendCall, Transport } from '../protocol/transport.js';
import { addon, type NativeSocket } from './addon.js';

/** Bytes an array must have to be taken for a channel's own, and not for somebody's message. */
const worthKnowing = 4096;

/** A connected stream socket. Owns its fd from construction on. */
export class SocketTransport implements Transport {
  readonly #name: string;
  #socket: NativeSocket | undefined;
  #hasCalls = false;
  // The memory that a channel comes with again and again. The addon has its address: asking for that of an array takes
  // as long as the rest of a call.
  #inbox: Uint8Array | undefined;
  #outbox: Uint8Array | undefined;

  /** @param fd a connected AF_UNIX stream socket; closed with the transport */
  constructor(fd: number) {
    this.#socket = new (addon().Socket)(fd);
    this.#name = `fd ${fd}`;
  }

  get name(): string {
    return this.#name;
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  get fd(): number {
    return this.#socket?.fd ?? -1;
  }

  receive(call: ReceiveCall): number {
    const socket = this.#openWithCalls();
    const { into, offset, length } = call;
    if (this.#inbox === undefined && into.length >= worthKnowing) {
      this.#inbox = into;
      socket.knowInbox(into);
    }
    return into === this.#inbox && offset + length === into.length
      ? socket.receiveKnown(offset, call.fds, call.wait, call.timeoutMs)
      : socket.receive(into, offset, length, call.fds, call.wait, call.timeoutMs);
  }

  send(call: SendCall): number {
    const socket = this.#openWithCalls();
    const { bytes, offset, length, fd, wait, timeoutMs } = call;
    if (this.#outbox === undefined && bytes.length >= worthKnowing) {
      this.#outbox = bytes;
      socket.knowOutbox(bytes);
    }
    return bytes === this.#outbox && offset === 0 && fd < 0 && timeoutMs < 0
      ? socket.sendKnown(length, wait)
      : socket.send(bytes, offset, length, fd, wait, timeoutMs);
  }

  /** As receive(), for memory that does not come again. */
  protected receiveOnce(call: ReceiveCall): number {
    const { into, offset, length, fds, wait, timeoutMs } = call;
    return this.#openWithCalls().receive(into, offset, length, fds, wait, timeoutMs);
  }

  /** As send(), for memory that does not come again. */
  protected sendOnce(call: SendCall): number {
    const { bytes, offset, length, fd, wait, timeoutMs } = call;
    return this.#openWithCalls().send(bytes, offset, length, fd, wait, timeoutMs);
  }

  watch(
    readable: boolean,
    writable: boolean,
    listener: (readable: boolean, writable: boolean) => void,
  ): void {
    this.#open().watch(readable, writable, listener);
  }

  peerCredentials(): Credentials {
    return this.#open().peerCredentials();
  }

  enableCredentials(): void {
    this.#open().enableCredentials();
  }

  writerCredentials(): Credentials | undefined {
    return this.#open().writerCredentials();
  }

  closeFd(fd: number): void {
    addon().closeFd(fd);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Nothing more is sent; what has come can still be received, and then the stream is at its end. */
  shutDown(): void {
    if (this.#socket !== undefined) addon().shutDown(this.#socket.fd);
  }

  /** Gives the fd up without closing it; the transport is closed then. */
  release(): number {
    const fd = this.#open().release();
    this.#socket = undefined;
    return fd;
  }

  #openWithCalls(): NativeSocket {
    const socket = this.#open();
    if (!this.#hasCalls) {
      this.#hasCalls = true;
      socket.defineCalls();
    }
    return socket;
  }

  #open(): NativeSocket {
    if (this.#socket === undefined) throw new Error(`${this.name} is closed`);
    return this.#socket;
  }
}
