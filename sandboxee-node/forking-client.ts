// A fork server in Node: it prepares itself once, and forks a sandboxee for each request of the host.
import { addon, type NativeForkingClient } from '../native/addon.js';
import { CommsErrorNumber } from '../protocol/wire.generated.js';
import { Comms } from './comms.js';
import { checkForkable, ForkError, forkableThreads, isMeantToFork, settle } from './fork-readiness.js';
import { rehearse } from './fork-rehearsal.js';
import { becomeOwnProcess, type ProcessParts } from './forked-process.js';
import { prepareRandomness, replaceRandomness, useUpUuids } from './forked-randomness.js';

// This comes before the modules that are imported after this one, which may keep a function of V8's.
if (isMeantToFork) replaceRandomness();

/**
 * Forks this process whenever its host asks for a sandboxee. The script imports and warms up what its children will
 * need, and then waits. Each child goes on from there as a process of its own, in a sandbox, under no policy until it
 * calls Client.sandboxMeHere().
 *
 * Node must have been started for this (Executor.nodeForkServer()). When it waits, it must have nothing open or
 * pending: no sockets, servers, timers or workers. Files that it has open are closed in its children.
 */
export class ForkingClient {
  readonly #native: NativeForkingClient;
  static #isMade = false;
  #child: Comms | undefined;
  #isRehearsed = false;
  #isWaiting = false;

  /**
   * @param comms the channel of requests; the client owns it from then on
   * @throws ForkError if this process cannot be forked
   */
  constructor(comms: Comms = Comms.default()) {
    checkForkable();
    if (ForkingClient.#isMade)
      throw new ForkError('this process has a ForkingClient already, and one channel of requests');
    ForkingClient.#isMade = true;
    this.#native = new (addon().ForkingClient)(comms.release(), forkableThreads);
  }

  /**
   * Waits for a request and forks. Like fork(2) it resolves with 0 in the child, whose channel to its host is
   * Comms.default(). In the fork server it resolves with the pid of the joiner, a process that brings the child into
   * its sandbox and ends. While it waits nothing else runs. When the host wants no more children, the process exits
   * with 0.
   *
   * Rejects with ForkError if this process has something open or pending, or if one request could not be met.
   */
  waitAndFork(): Promise<number> {
    return this.#fork(() => this.#native.waitAndFork());
  }

  /** Forks for each request. Resolves only in a child, with its channel to the host. */
  async enterForkLoop(): Promise<Comms> {
    await this.#fork(() => this.#native.enterForkLoop());
    return Comms.default();
  }

  async #fork(wait: () => number): Promise<number> {
    if (this.#child !== undefined) throw new ForkError('this process is a child of the fork server itself');
    if (this.#isWaiting) throw new ForkError('this client waits for a request already; await that first');
    this.#isWaiting = true;
    try {
      return await this.#waitBy(wait);
    } finally {
      this.#isWaiting = false;
    }
  }

  async #waitBy(wait: () => number): Promise<number> {
    if (!this.#isRehearsed) rehearse();
    this.#isRehearsed = true;
    await prepareRandomness();
    await settle();
    useUpUuids();
    const result = wait();
    if (result === 0) {
      this.#child = becomeOwnProcess({
        process: process as unknown as ProcessParts['process'],
        watchForEnd: addon().watchForEnd,
        takeComms: () => this.#native.takeComms(),
      });
    } else if (result === -CommsErrorNumber.CLOSED) {
      process.exit(0);
    } else if (result < 0) {
      throw new ForkError(this.#native.errorText);
    }
    return result;
  }
}
