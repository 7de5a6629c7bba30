// The third way to start a sandboxee: a program of one's own that prepares itself once and forks on request.

import { resolve } from 'node:path';
import { addon } from '../native/addon.js';
import { CommsError, encodeMessage } from '../protocol/index.js';
import { ForkMode, ForkMonitor, ForkNetwork, LaunchMode } from '../protocol/messages.generated.js';
import { checkOptions } from '../protocol/options.js';
import { Tag, WireFd, WireName } from '../protocol/wire.generated.js';
import { messageOf } from './advice.js';
import { deferred } from './deferred.js';
import { resultOfEnd } from './ending.js';
import type { Executor } from './executor.js';
import type { FdMapping } from './ipc.js';
import { checkCount, closeAll, type LaunchFd, placeFds } from './launch-fds.js';
import { checkWalltime } from './limits.js';
import { openProgram } from './program.js';
import { ReasonCode, Result } from './result.js';
import { connectStdio, endStdio, type StdioStreams } from './stdio.js';
import { nextRunNumber, type Supervisor, supervisor } from './supervisor.js';
import { timer } from './timer.js';

export interface ForkServerOptions {
  /**
   * Milliseconds a request for a child may wait for the fork server's answer, its own start-up included; 0: no limit.
   * Default: 60000.
   */
  readonly replyTimeoutMs?: number;
}

/** The answer to a request for a child. */
export type ForkAnswer =
  | { readonly kind: 'child'; readonly setupFd: number }
  | { readonly kind: 'failure'; readonly message: string }
  /** The run's own time was over, or it was killed, before there was an answer. */
  | { readonly kind: 'expired' }
  | { readonly kind: 'killed' };

/** CLONE_UNTRACED, which is how a sandbox2 host marks its requests (clone(2)); it asks for nothing. */
const requestMark = 0x00800000;
const answerLimit = 4096;
/** How long a fork server may take to end by itself when its channel is closed. */
const graceMs = 1000;

const encodedRequest = () =>
  encodeMessage('ForkRequest', {
    mode: ForkMode.FORK,
    cloneFlags: requestMark,
    monitorType: ForkMonitor.FORK_MONITOR_UNOTIFY,
    netnsMode: ForkNetwork.FORK_NETWORK_NONE,
    sandwireEntrance: true,
  });

function setupError(message: string): Result {
  return new Result({ finalStatus: 'SETUP_ERROR', reasonCode: ReasonCode.FAILED_SUBPROCESS, message });
}

/**
 * A fork server at work. `new Executor(forkServer)` starts sandboxees that are its children. It is ended by kill() or
 * by disposing of it; sandboxees it has forked go on. As long as it lives, so does the host's event loop.
 */
export class ForkServer {
  readonly path: string;
  readonly #executor: Executor;
  readonly #replyTimeoutMs: number;
  readonly #run = nextRunNumber();
  readonly #result = deferred<Result>();
  /** Requests not answered yet, in their order, which is that of the answers. */
  readonly #requests: ((answer: ForkAnswer) => void)[] = [];
  /** Open as long as it runs, though nobody reads them or writes to them: without a reference they would be collected. */
  #streams: StdioStreams | undefined;
  #supervisor: Supervisor | undefined;
  #final: Result | undefined;
  #broken: string | undefined;
  #nonsense: string | undefined;
  #reading = false;
  #hasAnswered = false;
  #isDisposed = false;
  #pid = -1;

  private constructor(executor: Executor, replyTimeoutMs: number) {
    this.path = executor.path;
    this.#executor = executor;
    this.#replyTimeoutMs = replyTimeoutMs;
  }

  /**
   * Called by Executor.startForkServer().
   *
   * @internal
   */
  static async start(executor: Executor, options: ForkServerOptions): Promise<ForkServer> {
    checkOptions('Executor.startForkServer', options, ['replyTimeoutMs']);
    const { replyTimeoutMs = 60_000 } = options;
    checkWalltime('Executor.startForkServer: replyTimeoutMs', replyTimeoutMs);
    const server = new ForkServer(executor, replyTimeoutMs);
    await server.#start();
    return server;
  }

  /** Process id, as the host sees it; -1 if it could not be started. */
  get pid(): number {
    return this.#pid;
  }

  /** Whether it has ended, and can fork no more. */
  get isTerminated(): boolean {
    return this.#final !== undefined;
  }

  /** How it ended, when it has; again and again if asked. */
  awaitResult(): Promise<Result> {
    return this.#result.promise;
  }

  /** Kills it. Sandboxees it has forked go on. */
  kill(): void {
    if (this.#final === undefined) this.#supervisor?.kill(this.#run);
  }

  /** Closes its channel, at which it ends by itself, or else kills it, and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#executor.ipc.close();
    this.#break('the fork server has been disposed of');
    const grace = timer(graceMs);
    await Promise.race([this.#result.promise, grace.due]);
    grace.clear();
    this.kill();
    await this.#result.promise;
  }

  /**
   * Asks for a child. Called by Sandbox2; never rejects. The fd of its set-up socket is the caller's.
   *
   * @param limitMs after that the answer is "expired"; 0: no limit
   * @param killed when it resolves the answer is "killed"
   * @internal
   */
  async requestChild(limitMs: number, killed: Promise<void>): Promise<ForkAnswer> {
    if (this.#broken !== undefined || this.#final !== undefined) return this.#failure();
    const answer = deferred<ForkAnswer>();
    this.#requests.push(answer.resolve);
    const { comms } = this.#executor.ipc;
    comms.sendProtobufBytes(encodedRequest()).catch((error: Error) => this.#break(error.message));
    void this.#read();
    const limit = timer(limitMs);
    const patience = timer(this.#replyTimeoutMs);
    const first = await Promise.race<ForkAnswer>([
      answer.promise,
      limit.due.then(() => ({ kind: 'expired' })),
      patience.due.then(() => ({
        kind: 'failure',
        message: `the fork server ${this.path} has not answered within ${this.#replyTimeoutMs} ms`,
      })),
      killed.then(() => ({ kind: 'killed' })),
    ]);
    limit.clear();
    patience.clear();
    // It will be answered all the same; that child, whose socket then closes, ends.
    void answer.promise.then((late) => {
      if (late !== first && late.kind === 'child') addon().closeAside(late.setupFd);
    });
    return first;
  }

  async #start(): Promise<void> {
    const executor = this.#executor;
    try {
      const { streams, openFiles } = connectStdio(executor.stdio, executor.ipc);
      this.#streams = streams;
      await openFiles?.();
    } catch (error) {
      executor.ipc.close();
      this.#finish(setupError(messageOf(error)));
      return;
    }
    executor.ipc.comms.payloadLimit = answerLimit;
    const opened = openProgram(executor.path);
    if (!opened.ok) {
      this.#finish(setupError(opened.message));
      return;
    }
    const fds: LaunchFd[] = [{ fd: opened.program.fd, isOurs: false, isQuick: true }];
    const context = {
      interpreter: opened.program.interpreter,
      program: resolve(executor.path),
      asRoot: process.geteuid?.() === 0,
    };
    const started = deferred<void>();
    let isRequested = false;
    try {
      const { commsFd, mappings } = executor.ipc.handOver();
      const { placed } = placeFds(mappings, true);
      fds.push({ fd: commsFd, isOurs: true, isQuick: true }, ...placed);
      this.#supervisor = supervisor();
      this.#supervisor.start(
        this.#run,
        this.#encodeStart(placed),
        fds.map(({ fd }) => fd),
        {
          started: (event) => {
            this.#pid = event.pid ?? -1;
            started.resolve();
          },
          sandboxed: () => {},
          asked: () => {},
          ended: (event) => {
            this.#finish(
              resultOfEnd(event, {
                context,
                limits: {},
                cgroup: {},
                handshakeFailure: undefined,
                syscallTimeoutMs: 0,
                syscallFailure: undefined,
                awaitsHandshake: false,
                awaitsFork: false,
              }),
            );
          },
          refused: (reason) => this.#finish(setupError(reason)),
          lost: (reason) =>
            this.#finishInternally(`the supervisor died, and the fork server with it (${reason})`),
        },
      );
      isRequested = true;
      await this.#supervisor.flush();
    } catch (error) {
      // The supervisor's own death, and its refusal, reach the listener; anything else ends here.
      if (!isRequested || this.#supervisor?.isUsable) {
        this.kill();
        this.#finish(setupError(messageOf(error)));
      }
    } finally {
      closeAll(fds);
    }
    await Promise.race([started.promise, this.#result.promise]);
  }

  #encodeStart(placed: readonly FdMapping[]): Uint8Array {
    const executor = this.#executor;
    const bytes = (text: string) => new TextEncoder().encode(text);
    const envs = Object.entries(executor.envs).map(([name, value]) => bytes(`${name}=${value}`));
    const named = placed.filter(({ name }) => name !== '');
    if (named.length > 0) {
      const list = named.map(({ name, remoteFd }) => `${name},${remoteFd}`).join(',');
      envs.push(bytes(`${WireName.FD_MAPPINGS_ENV}=${list}`));
    }
    const fdTargets = [WireFd.COMMS_FD, ...placed.map(({ remoteFd }) => remoteFd)];
    checkCount(fdTargets);
    const start = {
      run: this.#run,
      mode: LaunchMode.FORK_SERVER,
      args: executor.args.map(bytes),
      envs,
      cwd: bytes(executor.cwd),
      walltimeMs: BigInt(executor.limits.forkServerWalltimeMs),
      program: bytes(executor.path),
      fdTargets,
    };
    return encodeMessage('Request', { start });
  }

  /** Reads answers as long as any is due, so that an idle fork server does not keep the host alive. */
  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#requests.length > 0) {
        const answer = await this.#readAnswer();
        this.#hasAnswered = true;
        this.#requests.shift()?.(answer);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // A closed channel is mostly the first sign of its end, which is to be told as it was.
      if (!(error instanceof CommsError && error.code === 'CLOSED')) {
        this.#nonsense = `it answered what makes no sense, and was killed for it: ${reason}`;
        this.kill();
      }
      this.#break(reason);
    } finally {
      this.#reading = false;
    }
  }

  async #readAnswer(): Promise<ForkAnswer> {
    const { comms } = this.#executor.ipc;
    const isOurs = (await comms.peekTag()) === Tag.Version;
    if (isOurs) {
      const version = await comms.recvVersion();
      if (!version.startsWith(WireName.VERSION_IDENTITY)) {
        throw new CommsError('INVALID_VALUE', `the version ${JSON.stringify(version)} is not sandwire’s`, {
          operation: 'fork request',
          peer: 'the fork server',
        });
      }
    }
    const setupFd = await comms.recvFd();
    if (isOurs) return { kind: 'child', setupFd };
    addon().closeAside(setupFd);
    return {
      kind: 'failure',
      message:
        'the fork server speaks sandbox2’s protocol only, whose children cannot be led into a sandbox of sandwire’s; ' +
        'link it with libsandwire',
    };
  }

  /** No more children come of it, for this reason, unless its end tells a better one. */
  #break(reason: string): void {
    this.#broken ??= reason;
    for (const answer of this.#requests.splice(0)) void this.#failure().then(answer);
  }

  async #failure(reason = this.#broken ?? 'it has ended'): Promise<ForkAnswer> {
    if (this.#broken !== undefined && this.#final === undefined) {
      // A closed channel is mostly the first sign of its death, of which the supervisor tells at once.
      const patience = timer(graceMs);
      await Promise.race([this.#result.promise, patience.due]);
      patience.clear();
    }
    const hint = this.#final?.exitCode
      ? '; what it says of it is on its standard error (stdio.stderr)'
      : this.#loopHint();
    const end =
      this.#nonsense ?? (this.#final === undefined ? reason : `it has ended: ${this.#final}${hint}`);
    return { kind: 'failure', message: `no child of the fork server ${this.path}: ${end}` };
  }

  /** A program that ends well, and has never answered, does not know that it is to be a fork server. */
  #loopHint(): string {
    const isLoopMissing = this.#final?.isOk && !this.#hasAnswered && !this.#isDisposed;
    return isLoopMissing
      ? '; it never called enterForkLoop() (in C sandwire_forking_client_enter_fork_loop())'
      : '';
  }

  #finishInternally(message: string): void {
    this.#finish(
      new Result({ finalStatus: 'INTERNAL_ERROR', reasonCode: ReasonCode.FAILED_MONITOR, message }),
    );
  }

  #finish(result: Result): void {
    if (this.#final !== undefined) return;
    this.#final = result;
    if (this.#streams !== undefined) endStdio(this.#streams);
    this.#result.resolve(result);
    this.#break('it has ended');
    this.#executor.ipc.close();
  }
}
