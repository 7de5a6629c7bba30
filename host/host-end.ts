// The host's end of a comms channel, which is there before anybody is at its other end.
import { addon } from '../native/addon.js';
import { SocketTransport } from '../native/socket-transport.js';
import type { ReceiveCall, SendCall, Transport } from '../protocol/index.js';
import { Stretches } from './message-stretches.js';

/** How long a receive may be ahead of the start before it is taken for one that nobody will serve. */
const warningMs = 2000;
const advice = 'the sandboxee has not been started; call sandbox.runAsync() first';

/** How often a call that waits, and the event loop with it, looks whether the sandboxee still lives. */
const lookMs = 500;

/** Why a sandboxee is given no directory. Landlock governs reading, writing and listing, but not chmod() and stat(). */
export const directoryRefusal =
  'it is a directory, whose ".." leads out of the sandbox to all files of the host: show it with addDirectory() of the ' +
  'policy, or let directories through, and all of the host with them, with allow("allowPathsOutsideMounts")';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * A transport that knows whether its other end has been given away, and to whom. Waiting for nobody is a mistake worth
 * words; waiting for somebody who has ended is one that a sandboxee can set up, by leaving its end in the queue of ours.
 */
export class HostEnd extends SocketTransport {
  #isStarted = false;
  /** The handshake is still to come: what is sent waits for it, and nothing that arrives is anybody else's. */
  #isHeld = false;
  #wanted: Parameters<Transport['watch']> | undefined;
  /** Set until the handshake is over: nobody takes more than the message that he is at, as the next can be another's. */
  #stretches: Stretches | undefined;
  #hasSent = false;
  #takesDirectories = false;
  #pid: number | undefined;
  #looks = false;
  #warning: NodeJS.Timeout | undefined;

  /** From now on there is somebody to wait for. */
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

  /** Calls wait until letGo(), those of forHandshake() excepted. */
  hold(): void {
    this.#isHeld = true;
    this.#stretches ??= new Stretches();
    if (this.#wanted === undefined || !this.isOpen) return;
    super.watch(false, false, this.#wanted[2]);
  }

  /** Not for good: onStarted() of a run has the channel, and then it is held again. */
  lend(): void {
    this.#isHeld = false;
    if (this.isOpen) super.watch(...(this.#wanted ?? ([false, false, () => {}] as const)));
  }

  letGo(): void {
    this.#stretches = undefined;
    if (this.#isHeld) this.lend();
  }

  /** The same stream for whom the others wait. It is not closed with what is made of it. */
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

  /** Whose end the other one is. */
  belongsTo(pid: number): void {
    this.#pid = pid;
  }

  /** What is at the other end may have directories. */
  permitDirectories(): void {
    this.#takesDirectories = true;
  }

  override receive(call: ReceiveCall): number {
    if (this.#isHeld) return -1;
    const { wait, timeoutMs } = call;
    if (!this.#isStarted && wait && timeoutMs < 0) throw new Error(`this would wait for ever: ${advice}`);
    if (!wait || timeoutMs >= 0) return this.#take(call);
    this.#lookWhileWaiting();
    for (;;) {
      const count = this.#take(call);
      if (count >= 0) return count;
      this.#lookWhoIsThere();
    }
  }

  #take(call: ReceiveCall): number {
    const stretches = this.#stretches;
    if (stretches === undefined) return super.receive(call);
    return stretches.take(call, (part) => this.receiveOnce(part));
  }

  override send(call: SendCall): number {
    if (this.#isHeld) return -1;
    this.#hasSent = true;
    const { fd, wait, timeoutMs } = call;
    if (fd >= 0 && !this.#takesDirectories && addon().isDirectory(fd)) throw new Error(directoryRefusal);
    if (!wait || timeoutMs >= 0) return super.send(call);
    this.#lookWhileWaiting();
    for (;;) {
      const count = super.send(call);
      if (count >= 0) return count;
      this.#lookWhoIsThere();
    }
  }

  #lookWhileWaiting(): void {
    if (this.#looks) return;
    this.#looks = true;
    addon().limitWaits(this.fd, lookMs);
  }

  /** Ends the stream if nobody is: the event that tells has no chance to be heard. */
  #lookWhoIsThere(): void {
    if (this.#pid !== undefined && !isAlive(this.#pid)) this.shutDown();
  }

  override watch(
    readable: boolean,
    writable: boolean,
    listener: (readable: boolean, writable: boolean) => void,
  ): void {
    // Not an error: the start may still come, and be what the receive is ahead of.
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
