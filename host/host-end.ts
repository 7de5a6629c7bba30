// The host's end of a comms channel, which exists before there is a sandboxee at the other end.
import { addon } from '../native/addon.js';
import { SocketTransport } from '../native/socket-transport.js';
import type { ReceiveCall, SendCall, Transport } from '../protocol/index.js';
import { MessageBoundary } from './message-boundary.js';

/** How long a receive may come before the start without a warning that nothing will answer it. */
const warningMs = 2000;
const advice = 'the sandboxee has not been started; call sandbox.runAsync() first';

/** How often a blocking call, and with it the event loop, checks that the sandboxee still lives. */
const checkMs = 500;

/**
 * Why a sandboxee is never given a directory. Landlock governs reading, writing and listing, but not chmod() and
 * stat().
 */
export const directoryRefusal =
  'it is a directory, whose ".." leads out of the sandbox to all files of the host: show it with addDirectory() of the ' +
  'policy, or allow directories, and with them all of the host, with allow("allowPathsOutsideMounts")';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * A transport that knows whether its other end has been given to a sandboxee, and to which. Waiting for a sandboxee
 * that was never started is a mistake that deserves a message. Waiting for one that has ended can be a sandboxee's
 * trick: it leaves its own end in the queue of ours, so that the stream does not end.
 */
export class HostEnd extends SocketTransport {
  #isStarted = false;
  /** The handshake is still to come: sends wait for it, and only the handshake may receive. */
  #isHeld = false;
  #wanted: Parameters<Transport['watch']> | undefined;
  /**
   * Set until the handshake is over: until then no call receives beyond the end of its message, because the next
   * message may belong to another call.
   */
  #boundary: MessageBoundary | undefined;
  #hasSent = false;
  #takesDirectories = false;
  #pid: number | undefined;
  #hasLimitedWaits = false;
  #warning: NodeJS.Timeout | undefined;

  /** @param fd one end of a socket pair that was just made; closed with the transport */
  constructor(fd: number) {
    super(fd, 'untrusted', true);
  }

  /** From now on there is a sandboxee to wait for. */
  start(): void {
    this.#isStarted = true;
    clearTimeout(this.#warning);
  }

  override get name(): string {
    return this.#pid === undefined ? super.name : `${super.name} (sandboxee, pid ${this.#pid})`;
  }

  /** Whether anything was sent. */
  get hasSent(): boolean {
    return this.#hasSent;
  }

  /** All calls wait until letGo(), except those of forHandshake(). */
  hold(): void {
    this.#isHeld = true;
    this.#boundary ??= new MessageBoundary();
    if (this.#wanted === undefined || !this.isOpen) return;
    super.watch(false, false, this.#wanted[2]);
  }

  /** Lets calls through for a while: onStarted() of a run has the channel, and then it is held again. */
  lend(): void {
    this.#isHeld = false;
    if (this.isOpen) super.watch(...(this.#wanted ?? ([false, false, () => {}] as const)));
  }

  letGo(): void {
    this.#boundary = undefined;
    if (this.#isHeld) this.lend();
  }

  /**
   * The same stream, for the handshake that the other calls wait for. Closing what is made of it does not close the
   * stream.
   */
  forHandshake(): Transport {
    const end = this;
    return {
      name: this.name,
      get isOpen() {
        return end.isOpen;
      },
      receive: (...call) => this.#take(...call),
      send: (...call) => this.sendOnce(...call),
      watch: (readable, writable, listener) => {
        if (this.#isHeld) super.watch(readable, writable, listener);
      },
      closeFd: (fd) => this.closeFd(fd),
      close: () => {},
    };
  }

  refusalToBlock(): string | undefined {
    return this.#isHeld
      ? 'the sandboxee has not called sandboxMeHere() yet; await runAsync() first'
      : undefined;
  }

  /** The pid of the process at the other end. */
  belongsTo(pid: number): void {
    this.#pid = pid;
  }

  /** The process at the other end may be sent directories. */
  permitDirectories(): void {
    this.#takesDirectories = true;
  }

  override receive(call: ReceiveCall): number {
    if (this.#isHeld) return -1;
    const { wait, timeoutMs } = call;
    if (!this.#isStarted && wait && timeoutMs < 0) throw new Error(`this would wait for ever: ${advice}`);
    if (!wait || timeoutMs >= 0) return this.#take(call);
    this.#limitWaits();
    for (;;) {
      const count = this.#take(call);
      if (count >= 0) return count;
      this.#endIfSandboxeeHasEnded();
    }
  }

  #take(call: ReceiveCall): number {
    const boundary = this.#boundary;
    if (boundary === undefined) return super.receive(call);
    return boundary.take(call, (part) => this.receiveOnce(part));
  }

  override send(call: SendCall): number {
    if (this.#isHeld) return -1;
    this.#hasSent = true;
    const { fd, wait, timeoutMs } = call;
    if (fd >= 0 && !this.#takesDirectories && addon().isDirectory(fd)) throw new Error(directoryRefusal);
    if (!wait || timeoutMs >= 0) return super.send(call);
    this.#limitWaits();
    for (;;) {
      const count = super.send(call);
      if (count >= 0) return count;
      this.#endIfSandboxeeHasEnded();
    }
  }

  #limitWaits(): void {
    if (this.#hasLimitedWaits) return;
    this.#hasLimitedWaits = true;
    addon().limitWaits(this.fd, checkMs);
  }

  /** Ends the stream if the sandboxee has ended: while a call blocks, the supervisor's event cannot be read. */
  #endIfSandboxeeHasEnded(): void {
    if (this.#pid !== undefined && !isAlive(this.#pid)) this.shutDown();
  }

  override watch(
    readable: boolean,
    writable: boolean,
    listener: (readable: boolean, writable: boolean) => void,
  ): void {
    // This is a warning, not an error: the start may still come.
    if (!this.#isStarted && (readable || (writable && this.#isHeld))) {
      const what = readable ? 'a receive' : 'a send';
      this.#warning ??= setTimeout(() => {
        process.emitWarning(`${what} waits on the comms of a sandbox: ${advice}`, 'SandwireWarning');
      }, warningMs).unref();
    }
    this.#wanted = [readable, writable, listener];
    if (!this.#isHeld) super.watch(readable, writable, listener);
  }

  override close(): void {
    clearTimeout(this.#warning);
    super.close();
  }
}
