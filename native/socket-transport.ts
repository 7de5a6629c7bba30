// The transport under Comms that is a real socket.
import type { Credentials, ReceiveCall, SendCall, Transport } from '../protocol/transport.js';
import { addon, type NativeSocket } from './addon.js';
import { guard } from './closing.js';

/** An array with fewer bytes is taken for a caller's message, not for a channel's own buffer. */
const worthKnowing = 4096;

/** A connected stream socket. Owns its fd from construction on. */
export class SocketTransport implements Transport {
  readonly #name: string;
  #socket: NativeSocket | undefined;
  #hasCalls = false;
  // The memory that a channel passes again and again. The addon keeps its address, because asking for the address of an
  // array takes as long as the rest of a call.
  #inbox: Uint8Array | undefined;
  #outbox: Uint8Array | undefined;

  /**
   * @param fd a connected AF_UNIX stream socket; closed with the transport
   * @param peer "trusted": it could do no harm
   * @param isExclusive no duplicate of the fd is anywhere, so that closing it ends the stream
   */
  constructor(fd: number, peer: 'untrusted' | 'trusted' = 'untrusted', isExclusive = false) {
    if (peer === 'untrusted') guard();
    this.#socket = new (addon().Socket)(fd, isExclusive);
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

  /** Like receive(), for memory that is not used again. */
  protected receiveOnce(call: ReceiveCall): number {
    const { into, offset, length, fds, wait, timeoutMs } = call;
    return this.#openWithCalls().receive(into, offset, length, fds, wait, timeoutMs);
  }

  /** Like send(), for memory that is not used again. */
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
    addon().closeAside(fd);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** Ends the stream: nothing more is sent. What has arrived can still be received, then the stream is at its end. */
  shutDown(): void {
    if (this.#socket !== undefined) addon().shutDown(this.#socket.fd);
  }

  /** Gives the fd up without closing it. The transport is closed then. */
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
