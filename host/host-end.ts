// The host's end of a comms channel, which is there before anybody is at its other end.
import { SocketTransport } from '../native/socket-transport.js';

/** How long a receive may be ahead of the start before it is taken for one that nobody will serve. */
const warningMs = 2000;
const advice = 'the sandboxee has not been started; call sandbox.runAsync() first';

/** A transport that knows whether its other end has been given away. Waiting for nobody is a mistake worth words. */
export class HostEnd extends SocketTransport {
  #isStarted = false;
  #warning: NodeJS.Timeout | undefined;

  /** From now on there is somebody to wait for. */
  start(): void {
    this.#isStarted = true;
    clearTimeout(this.#warning);
  }

  override receive(
    into: Uint8Array,
    offset: number,
    length: number,
    fds: number[],
    wait: boolean,
    timeoutMs: number,
  ): number {
    if (!this.#isStarted && wait && timeoutMs < 0) throw new Error(`this would wait for ever: ${advice}`);
    return super.receive(into, offset, length, fds, wait, timeoutMs);
  }

  override watch(
    readable: boolean,
    writable: boolean,
    listener: (readable: boolean, writable: boolean) => void,
  ): void {
    // Not an error: the start may still come, and be what the receive is ahead of.
    if (!this.#isStarted && readable) {
      this.#warning ??= setTimeout(() => {
        process.emitWarning(`a receive waits on the comms of a sandbox: ${advice}`, 'SandwireWarning');
      }, warningMs).unref();
    }
    super.watch(readable, writable, listener);
  }

  override close(): void {
    clearTimeout(this.#warning);
    super.close();
  }
}
