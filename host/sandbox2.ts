// One run: starts the sandboxee, follows it, and ends with one Result.
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { addon } from '../native/addon.js';
import type { Comms } from '../native/comms.js';
import { type Asked, EndKind, type Sandboxed, type Started } from '../protocol/messages.generated.js';
import { checkOptions } from '../protocol/options.js';
import { WireFd } from '../protocol/wire.generated.js';
import { messageOf } from './advice.js';
import { deferred } from './deferred.js';
import { resultOfEnd } from './ending.js';
import type { Executor } from './executor.js';
import type { ForkServer } from './fork-server.js';
import { performHandshake } from './handshake.js';
import type { FdMapping, IPC } from './ipc.js';
import { closeAll, type LaunchFd, placeFds } from './launch-fds.js';
import { checkWalltime } from './limits.js';
import { describeNamespaceFailure } from './namespace-failure.js';
import { checkNotify, type Notify, Questions, tellEnd } from './notify.js';
import { Policy, PolicyBuilder } from './policy/index.js';
import { openProgram } from './program.js';
import { type ProgramPlace, placeProgram } from './program-place.js';
import { ReasonCode, type ResourceUsage, Result } from './result.js';
import type { SetupContext } from './setup-failure.js';
import { encodeStartRequest } from './start-request.js';
import {
  type CaptureOptions,
  type ConnectedStdio,
  collect,
  connectStdio,
  endStdio,
  type StdioOptions,
  type StdioStreams,
} from './stdio.js';
import { nextRunNumber, type Supervisor, supervisor } from './supervisor.js';
import { timer } from './timer.js';

/** How long a process that has closed its end of comms is given to end by itself. */
const endingMs = 100;

/** What run({ capture }) resolves with. */
export interface CapturedRun {
  readonly result: Result;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** One of them was more than maxBytes: it is cut there, and the sandbox was killed for it. */
  readonly truncated: boolean;
}

/** awaitResult() gave up waiting; the sandboxee goes on. */
export class AwaitTimeoutError extends Error {
  override readonly name = 'AwaitTimeoutError';
}

/**
 * Runs an executor's program under a policy, once.
 *
 * Set-up failures, violations, crashes and time-outs are results, never exceptions. Whatever the sandboxee does,
 * there is exactly one Result.
 */
export class Sandbox2 {
  readonly #executor: Executor;
  readonly #policy: Policy;
  readonly #stdio: ConnectedStdio;
  /** Those that run({ capture }) adds. */
  #added: StdioStreams | undefined;
  readonly #notify: Notify;
  readonly #questions: Questions;
  readonly #run = nextRunNumber();
  readonly #result = deferred<Result>();
  #supervisor: Supervisor | undefined;
  #started: Promise<boolean> | undefined;
  #final: Result | undefined;
  #there = deferred<void>();
  #sandboxed = deferred<void>();
  #isSandboxed = false;
  #handshakeFailure: string | undefined;
  /** Why the host has given the run up, if it has: that is its result then. */
  #givenUp: { readonly reason: ReasonCode; readonly why: string } | undefined;
  #isDisposed = false;
  #context: SetupContext | undefined;
  #looksBesideItself = false;
  #place: ProgramPlace | undefined;
  #walltimeMs: number | undefined;
  #killed = false;
  readonly #killRequest = deferred<void>();
  #pid = -1;
  #initPid = -1;

  /**
   * @param notify what the host wants to hear of the run, and the calls it judges itself. Its onSyscall is a must for a
   *   policy with the action "notify".
   */
  constructor(executor: Executor, policy: Policy, notify: Notify = {}) {
    checkPolicy(policy);
    checkNotify(notify, policy);
    this.#notify = { ...notify };
    this.#questions = new Questions(this.#notify, (answer) => {
      if (this.#final === undefined) this.#supervisor?.answer({ ...answer, run: this.#run });
    });
    executor.claim();
    this.#executor = executor;
    this.#policy = policy;
    if (policy.takesDirectories) executor.ipc.permitDirectories();
    this.#stdio = connectStdio(executor.stdio, executor.ipc);
  }

  /**
   * The typed channel to the sandboxee. With setEnableSandboxBeforeExec(false), and for children of fork servers, calls made
   * before runAsync() has resolved wait until the sandboxee is under its filter; a …Sync call fails with BUSY till then.
   */
  get comms(): Comms {
    return this.#executor.ipc.comms;
  }

  /** Process id of the sandboxee as the host sees it; -1 before it is there. */
  get pid(): number {
    return this.#pid;
  }

  /** Process id of the sandbox's init as the host sees it; -1 before it is there. */
  get initPid(): number {
    return this.#initPid;
  }

  /** Whether the run has ended. */
  get isTerminated(): boolean {
    return this.#final !== undefined;
  }

  /**
   * Starts the sandboxee and waits for its end; comms that nobody has asked for by then is closed. With capture, its
   * standard output and error are collected, unless the Executor's stdio sends them elsewhere; more than maxBytes of
   * either kills the sandbox.
   */
  run(): Promise<Result>;
  run(options: { readonly capture: CaptureOptions }): Promise<CapturedRun>;
  async run(options?: { readonly capture: CaptureOptions }): Promise<Result | CapturedRun> {
    checkOptions('Sandbox2.run', options, ['capture']);
    if (options?.capture !== undefined) return this.#runCaptured(options.capture);
    await this.#startOnce(false);
    const result = await this.awaitResult();
    this.#executor.ipc.closeUnused();
    return result;
  }

  async #runCaptured(options: CaptureOptions): Promise<CapturedRun> {
    checkOptions('Sandbox2.run: capture', options, ['maxBytes']);
    const { maxBytes = 1 << 20 } = options;
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
      throw new RangeError(`Sandbox2.run: capture.maxBytes must be a number of bytes, not ${maxBytes}`);
    }
    const { stdio, ipc } = this.#executor;
    this.#checkStartable();
    checkCapturable(stdio, ipc);
    this.#added = connectStdio(
      {
        ...(stdio.stdout === undefined && { stdout: 'pipe' as const }),
        ...(stdio.stderr === undefined && { stderr: 'pipe' as const }),
      },
      this.#executor.ipc,
    ).streams;
    let truncated = false;
    const exceeded = () => {
      truncated = true;
      this.kill();
    };
    const captured = [
      this.#stdio.streams.stdout ?? this.#added.stdout,
      this.#stdio.streams.stderr ?? this.#added.stderr,
    ].map((stream) =>
      stream === undefined ? Promise.resolve(Buffer.alloc(0)) : collect(stream, maxBytes, exceeded),
    );
    await this.#startOnce(false);
    const result = await this.awaitResult();
    this.#executor.ipc.closeUnused();
    const [stdout = Buffer.alloc(0), stderr = Buffer.alloc(0)] = await Promise.all(captured);
    return { result, stdout, stderr, truncated };
  }

  /** With stdio "pipe": the end of a stream whose other end is the sandboxee's standard input, output or error. */
  get stdin(): Writable | undefined {
    return this.#stdio.streams.stdin;
  }

  get stdout(): Readable | undefined {
    return this.#stdio.streams.stdout;
  }

  get stderr(): Readable | undefined {
    return this.#stdio.streams.stderr;
  }

  /**
   * Starts the sandboxee. Resolves with true when the policy is in force: for a program sandboxed before exec that
   * is its first instruction, otherwise its sandboxMeHere(); or with false when the run has ended before that, and
   * awaitResult() tells why.
   */
  runAsync(): Promise<boolean> {
    return this.#startOnce(true);
  }

  #checkStartable(): void {
    if (this.#started !== undefined) throw new Error('Sandbox2.runAsync: a Sandbox2 runs once');
    if (this.#isDisposed) throw new Error('Sandbox2.runAsync: this Sandbox2 has been disposed of');
  }

  /** isAwaited: whether the caller does anything with the start but wait for the end. */
  #startOnce(isAwaited: boolean): Promise<boolean> {
    this.#checkStartable();
    this.#executor.seal();
    this.#started = this.#start(isAwaited || this.#notify.onStarted !== undefined);
    return this.#started;
  }

  /** The result, when there is one; again and again if asked. Rejects with AwaitTimeoutError after timeoutMs. */
  async awaitResult(options: { readonly timeoutMs?: number } = {}): Promise<Result> {
    checkOptions('Sandbox2.awaitResult', options, ['timeoutMs']);
    if (this.#started === undefined) throw new Error('Sandbox2.awaitResult: the run has not been started');
    const { timeoutMs } = options;
    if (timeoutMs === undefined) return this.#result.promise;
    checkWalltime('Sandbox2.awaitResult', timeoutMs);
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new AwaitTimeoutError(
              `no result of ${this.#executor.path} within ${timeoutMs} ms; it goes on running`,
            ),
          ),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([this.#result.promise, expired]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the sandboxee with everything in its sandbox; the result is EXTERNAL_KILL unless it has ended before. */
  kill(): void {
    this.#killed = true;
    this.#killRequest.resolve();
    if (this.#final === undefined) this.#supervisor?.kill(this.#run);
  }

  /** Sets the wall-time limit anew, in milliseconds from now; 0: none from now on. */
  setWalltimeLimitMs(milliseconds: number): void {
    checkWalltime('Sandbox2.setWalltimeLimitMs', milliseconds);
    this.#walltimeMs = milliseconds;
    if (this.#final === undefined) this.#supervisor?.setWalltime(this.#run, milliseconds);
  }

  /** Kills what still runs, waits for its end and closes the comms channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    if (this.#started !== undefined) {
      this.kill();
      await this.#result.promise;
    }
    this.#executor.ipc.close();
  }

  async #start(isAwaited: boolean): Promise<boolean> {
    const { forkServer, ipc } = this.#executor;
    const prepared = this.#prepare(forkServer);
    const origin = prepared instanceof Promise ? await prepared : prepared; // without waiting, where it need not
    if (origin instanceof Result) {
      ipc.close();
      return this.#finish(origin);
    }
    const launchFds: LaunchFd[] = [{ fd: origin, isOurs: forkServer !== undefined, isQuick: true }];
    const handshakeFds: LaunchFd[] = [];
    let isRequested = false;
    try {
      const { commsFd, mappings } = ipc.handOver();
      const launch = placeFds(mappings, this.#executor.sandboxBeforeExec);
      launchFds.push({ fd: commsFd, isOurs: true, isQuick: true }, ...launch.placed);
      handshakeFds.push(...launch.byHandshake);
      if (ipc.namespaceFailure !== undefined) {
        ipc.close();
        return this.#finish(
          new Result({ finalStatus: 'SETUP_ERROR', ...describeNamespaceFailure(ipc.namespaceFailure) }),
        );
      }
      const sent = launchFds.map(({ fd }) => fd);
      this.#supervisor = supervisor();
      const request = encodeStartRequest(this.#executor, this.#policy, {
        run: this.#run,
        placed: launch.placed,
        fdTargets: [WireFd.COMMS_FD, ...launch.placed.map((mapping) => mapping.remoteFd)],
        looksBesideItself: this.#looksBesideItself,
        place: this.#place,
        walltimeMs: this.#walltimeMs ?? this.#executor.limits.walltimeMs,
        answerTimeoutMs: this.#questions.timeoutMs,
        isAwaited,
      });
      this.#supervisor.start(this.#run, request, sent, this.#listener());
      isRequested = true;
      if (this.#killed) this.#supervisor.kill(this.#run); // asked before there was anything to kill
      await this.#supervisor.flush();
      // Now, not later: as long as we hold the sandboxee's end of comms, its closing that end goes unseen.
      closeAll(launchFds);
      if (this.#notify.onStarted !== undefined) await this.#tellStarted(this.#notify.onStarted);
      if (!this.#executor.sandboxBeforeExec && this.#final === undefined)
        await this.#handshake(launch.byHandshake);
    } catch (error) {
      // The supervisor's own death, and its refusal, reach the listener; anything else ends here.
      const message = messageOf(error);
      if (!isRequested) {
        this.#finish(setupError('FAILED_SUBPROCESS', message));
        this.#executor.ipc.close();
      } else if (this.#supervisor?.isUsable) this.#giveUp('FAILED_SUBPROCESS', message);
    } finally {
      closeAll(launchFds);
      closeAll(handshakeFds);
      ipc.awaitHandshake(false); // it is over, or the run is, of which whoever waits learns then
    }
    await Promise.race([this.#sandboxed.promise, this.#result.promise]);
    return this.#final === undefined || this.#isSandboxed;
  }

  #giveUp(reason: ReasonCode, why: string): void {
    this.#givenUp ??= { reason, why };
    this.#supervisor?.kill(this.#run);
  }

  /** What it says no to ends the run. The end of the run is not waited for in vain when it says nothing. */
  async #tellStarted(onStarted: NonNullable<Notify['onStarted']>): Promise<void> {
    await Promise.race([this.#there.promise, this.#result.promise]);
    if (this.#final !== undefined) return;
    const takeBack = this.#executor.ipc.lendComms();
    const answer = (async () => onStarted(this.#pid, this.comms))();
    try {
      if ((await Promise.race([answer, this.#result.promise])) !== false) return;
      this.#giveUp('FAILED_NOTIFY', 'onStarted said no');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#giveUp('FAILED_NOTIFY', `onStarted failed: ${why}`);
    } finally {
      takeBack();
    }
    await this.#result.promise;
  }

  /** The fd of the program. */
  #openProgram(): number | Result {
    const { script } = this.#executor;
    if (script !== undefined && hidesFile(this.#policy, script)) {
      const message = `the policy does not show the script: .addFile(${JSON.stringify(script)}), and what it imports`;
      return setupError('FAILED_SUBPROCESS', message);
    }
    const opened = openProgram(this.#executor.path);
    if (!opened.ok) return setupError('FAILED_SUBPROCESS', opened.message);
    const { fd, status, interpreter, looksBesideItself } = opened.program;
    this.#place = placeProgram(this.#policy, this.#executor.path, status, this.#executor.uid);
    this.#looksBesideItself = looksBesideItself;
    this.#context = { interpreter, program: resolve(this.#executor.path), asRoot: process.geteuid?.() === 0 };
    return fd;
  }

  /** The fd of the program, or of a fork server's new child. What is waited for counts as wall time. */
  #prepare(forkServer: ForkServer | undefined): number | Result | Promise<number | Result> {
    if (this.#stdio.openFiles === undefined && forkServer === undefined) {
      return this.#refusal() ?? this.#openProgram();
    }
    return this.#prepareInTime(forkServer);
  }

  async #prepareInTime(forkServer: ForkServer | undefined): Promise<number | Result> {
    const walltimeMs = this.#walltimeMs ?? this.#executor.limits.walltimeMs;
    const begun = performance.now();
    const rest = () =>
      walltimeMs === 0 ? 0 : Math.max(1, Math.ceil(walltimeMs - (performance.now() - begun)));
    const early = (await this.#openFiles(walltimeMs)) ?? this.#refusal();
    if (early !== undefined) return early;
    const origin = forkServer === undefined ? this.#openProgram() : await this.#fork(forkServer, rest());
    if (walltimeMs > 0) this.#walltimeMs ??= rest();
    return origin;
  }

  /** Why the sandboxee cannot be given what is mapped, if so. */
  #refusal(): Result | undefined {
    const refusal = this.#executor.ipc.refusal();
    return refusal === undefined ? undefined : setupError('FAILED_IPC', refusal);
  }

  /** Undefined: they are open, if there are any. */
  async #openFiles(limitMs: number): Promise<Result | undefined> {
    const opening = this.#stdio.openFiles?.();
    if (opening === undefined) return undefined;
    const limit = timer(limitMs);
    try {
      return await Promise.race([
        opening.then(() => undefined),
        limit.due.then(() => timedOut('its standard streams could not be opened in time')),
        this.#killRequest.promise.then(() => externallyKilled()),
      ]);
    } catch (error) {
      return setupError('FAILED_IPC', messageOf(error));
    } finally {
      limit.clear();
    }
  }

  /** The set-up socket of the child. */
  async #fork(forkServer: ForkServer, limitMs: number): Promise<number | Result> {
    const answer = await forkServer.requestChild(limitMs, this.#killRequest.promise);
    if (answer.kind === 'child') return answer.setupFd;
    if (answer.kind === 'failure') return setupError('FAILED_SUBPROCESS', answer.message);
    return answer.kind === 'expired' ? timedOut('the fork server had not forked it yet') : externallyKilled();
  }

  /** The host's half of sandboxMeHere. A failure ends the run; its words go into the result. */
  async #handshake(mappings: readonly FdMapping[]): Promise<void> {
    const isOwnPeer = this.#executor.forkServer !== undefined; // whose children are no other's
    const { cwd, ipc } = this.#executor;
    const handshake = performHandshake(
      ipc.handshakeComms(),
      this.#policy,
      cwd,
      mappings,
      isOwnPeer,
      (listener) => this.#attachListener(listener),
    );
    // The end may be heard of before what was said on comms; of one that was sandboxed all of the handshake is there.
    const ended = this.#result.promise.then(() => (this.#isSandboxed ? handshake : undefined));
    const outcome = await Promise.race([handshake, ended]);
    if (outcome === undefined || outcome.ok) return;
    this.#handshakeFailure = outcome.message;
    if (outcome.isGone) {
      // The kernel closes a process's fds before its parent can learn how it ended; that is worth a moment.
      const moment = new AbortController();
      const passed = sleep(endingMs, undefined, { signal: moment.signal }).catch(() => {});
      await Promise.race([this.#result.promise, passed]);
      moment.abort();
    }
    this.#supervisor?.kill(this.#run);
    await this.#result.promise;
  }

  async #attachListener(listener: number): Promise<void> {
    try {
      await this.#supervisor?.attachListener(this.#run, listener);
    } finally {
      addon().closeAside(listener);
    }
    await Promise.race([this.#sandboxed.promise, this.#result.promise]);
  }

  #listener() {
    return {
      started: (event: Started) => this.#isThere(event),
      sandboxed: (event: Sandboxed) => {
        this.#isThere(event);
        this.#isSandboxed = true;
        this.#sandboxed.resolve();
      },
      asked: (event: Asked) => void this.#questions.ask(event),
      ended: (event: Parameters<typeof resultOfEnd>[0]) => {
        const context = this.#context ?? {
          interpreter: undefined,
          program: this.#executor.path,
          asRoot: false,
        };
        this.#finish(
          resultOfEnd(event, {
            context,
            limits: this.#executor.limits.values,
            cgroup: this.#executor.limits.cgroup,
            syscallTimeoutMs: this.#questions.timeoutMs,
            syscallFailure: this.#questions.failure,
            // A kill breaks the handshake too, which is not why it ended.
            handshakeFailure:
              this.#killed && event.kind === EndKind.KILLED ? undefined : this.#handshakeFailure,
            awaitsHandshake: !this.#executor.sandboxBeforeExec && !this.#isSandboxed,
            awaitsFork: this.#executor.forkServer !== undefined && this.#pid === -1,
          }),
        );
      },
      refused: (reason: string) => {
        this.#finish(setupError('FAILED_SUBPROCESS', reason));
      },
      lost: (reason: string) => {
        this.#finish(
          new Result({
            finalStatus: 'INTERNAL_ERROR',
            reasonCode: ReasonCode.FAILED_MONITOR,
            message: `the supervisor died, and the sandbox with it (${reason}); the next run starts a new one`,
          }),
        );
      },
    };
  }

  #isThere(event: Started | Sandboxed): void {
    this.#pid = event.pid ?? -1;
    this.#initPid = event.initPid ?? -1;
    if (this.#pid > 0) this.#executor.ipc.sandboxeeIs(this.#pid);
    this.#there.resolve();
  }

  #finish(result: Result): boolean {
    if (this.#final !== undefined) return false;
    const final =
      this.#givenUp === undefined
        ? result
        : setupError(this.#givenUp.reason, this.#givenUp.why, result.rusage);
    this.#final = final;
    this.#questions.close();
    this.#executor.ipc.sandboxeeHasEnded();
    endStdio(this.#stdio.streams);
    if (this.#added !== undefined) endStdio(this.#added);
    tellEnd(this.#notify, final);
    this.#result.resolve(final);
    return false;
  }
}

/** Whether nothing of the host is at this path, nor can be. */
function hidesFile(policy: Policy, path: string): boolean {
  if (policy.resolvePath(path) !== undefined) return false;
  // A descriptor that is mapped, by its name in /proc.
  return !policy.mounts.some(({ kind, inside }) => kind === 'proc' && path.startsWith(`${inside}/`));
}

/** Throws Error for what is mapped already, and cannot be captured as well. */
function checkCapturable(stdio: StdioOptions, ipc: IPC): void {
  const isTaken = (fd: number, name: 'stdout' | 'stderr') => stdio[name] === undefined && ipc.isMapped(fd);
  const taken = isTaken(1, 'stdout') ? 1 : isTaken(2, 'stderr') ? 2 : undefined;
  if (taken === undefined) return;
  throw new Error(
    `Sandbox2.run: capture wants fd ${taken} of the sandboxee, which ipc.mapFd() or receiveFd() has mapped already; ` +
      'leave one of them out',
  );
}

/** Throws TypeError, for whom no compiler has told. */
function checkPolicy(policy: unknown): void {
  if (policy instanceof Policy) return;
  const hint = policy instanceof PolicyBuilder ? ': this is its builder; call build()' : '';
  throw new TypeError(`Sandbox2: the second argument must be a Policy${hint}`);
}

const timedOut = (message: string) => new Result({ finalStatus: 'TIMEOUT', reasonCode: 0, message });
const externallyKilled = () => new Result({ finalStatus: 'EXTERNAL_KILL', reasonCode: 0 });

function setupError(reason: ReasonCode, message: string, rusage?: ResourceUsage): Result {
  return new Result({ finalStatus: 'SETUP_ERROR', reasonCode: ReasonCode[reason], message, rusage });
}
