// The host's end of the control channel: starts the supervisor on first use, sends requests, and passes events on.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { addon, supervisorPath } from '../native/addon.js';
import { guard } from '../native/closing.js';
import { SocketTransport } from '../native/socket-transport.js';
import { Comms, CommsError, encodeMessage } from '../protocol/index.js';
import type { AnswerRequest, Asked, Ended, Sandboxed, Started } from '../protocol/messages.generated.js';
import { decodeMessageStrictly } from '../protocol/messages.js';
import { WireLimit } from '../protocol/wire.generated.js';
import { nullDeviceAdvice, shortageHint } from './advice.js';
import { errorCode } from './errno.js';

/** What a run is told. Exactly one of ended, refused and lost comes, and it comes last. */
export interface RunListener {
  started(event: Started): void;
  /** The policy is in force and watched. */
  sandboxed(event: Sandboxed): void;
  /** A notified call: the supervisor waits for answer(). */
  asked(event: Asked): void;
  ended(event: Ended): void;
  /** The supervisor refused the request, or the request could not be sent. */
  refused(reason: string): void;
  /** The supervisor died, and with it everything that it had started. */
  lost(reason: string): void;
}

/** More than arguments and environment can be (execve(2)); a policy is 32 KiB at most. */
function checkSize({ length }: Uint8Array): void {
  if (length <= WireLimit.REQUEST_LIMIT) return;
  throw new RangeError(
    `its arguments, environment and policy are ${length} bytes, and at most ${WireLimit.REQUEST_LIMIT} are accepted; ` +
      'send large data by comms, a Buffer or a file',
  );
}

/**
 * True if only an fd is at fault and not the channel: EBADF, or ETOOMANYREFS for too many fds under way at once
 * (unix(7)).
 */
function isAboutFd(error: Error): boolean {
  return error instanceof CommsError && error.code === 'SYSTEM';
}

/** Without /dev/null no process can be started; the error then looks as if the program did not exist. */
function startHint(error: Error): string {
  const shortage = shortageHint(errorCode(error));
  if (shortage !== '') return shortage;
  try {
    accessSync('/dev/null', constants.R_OK | constants.W_OK);
    return '';
  } catch (missing) {
    return ` (${nullDeviceAdvice}: ${errorCode(missing)})`;
  }
}

/** A supervisor process and its present runs. */
class Supervisor {
  readonly #process: ChildProcess;
  readonly #comms: Comms;
  readonly #runs = new Map<bigint, RunListener>();
  #pumping = false;
  #failure: string | undefined;

  constructor() {
    try {
      guard();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(
        `no thread can be made, which closes what sandboxees send: ${why}${shortageHint(errorCode(error))}`,
      );
    }
    const [hostEnd, supervisorEnd] = addon().socketPair();
    try {
      // It has a session of its own, so that a signal to the host's process group does not reach it; it ends when the
      // control channel is closed. It gets no environment, no terminal and no fd except that channel.
      this.#process = spawn(supervisorPath(), [], {
        argv0: 'sandwire-supervisor',
        cwd: '/',
        env: {},
        stdio: ['ignore', 'ignore', 'ignore', supervisorEnd],
        detached: true,
      });
    } catch (error) {
      addon().closeFd(hostEnd);
      throw error;
    } finally {
      addon().closeFd(supervisorEnd);
    }
    this.#process.on('error', (error) => this.#failToStart(error));
    // While there are runs, the end of the channel is used instead, because events that were sent before it still have
    // to be read.
    this.#process.on('exit', () => {
      if (this.#runs.size === 0) this.#fail('it has ended');
    });
    this.#process.unref();
    this.#comms = new Comms(new SocketTransport(hostEnd, 'trusted', true));
    this.#comms.highWaterMark = Number.POSITIVE_INFINITY; // no limit: a request takes the same memory if it waits elsewhere
  }

  get isUsable(): boolean {
    return (
      this.#failure === undefined &&
      this.#process.pid !== undefined &&
      this.#process.exitCode === null &&
      this.#process.signalCode === null
    );
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** request: a Request that starts the run. Throws RangeError if it is too long. */
  start(run: bigint, request: Uint8Array, fds: readonly number[], listener: RunListener): void {
    checkSize(request);
    this.#runs.set(run, listener);
    this.#watch([this.#comms.sendProtobufBytes(request)]);
    for (const fd of fds) this.#comms.sendFd(fd).catch((error: Error) => this.#refuse(run, error));
    void this.#pump();
  }

  /**
   * One of the run's fds cannot be sent. The supervisor drops a request that lacks an fd when the next message comes.
   */
  #refuse(run: bigint, error: Error): void {
    if (!isAboutFd(error)) {
      this.#fail(error.message);
      return;
    }
    const listener = this.#runs.get(run);
    this.#runs.delete(run);
    this.kill(run);
    listener?.refused(`${error.message}${shortageHint(errorCode(error.cause))}`);
  }

  kill(run: bigint): void {
    this.#watch([this.#comms.sendProtobufBytes(encodeMessage('Request', { kill: { run } }))]);
  }

  setWalltime(run: bigint, walltimeMs: number): void {
    const request = { setWalltime: { run, walltimeMs: BigInt(walltimeMs) } };
    this.#watch([this.#comms.sendProtobufBytes(encodeMessage('Request', request))]);
  }

  answer(answer: AnswerRequest): void {
    this.#watch([this.#comms.sendProtobufBytes(encodeMessage('Request', { answer }))]);
  }

  attachListener(run: bigint, listener: number): Promise<void> {
    const sent = [
      this.#comms.sendProtobufBytes(encodeMessage('Request', { attachListener: { run } })),
      this.#comms.sendFd(listener),
    ];
    return Promise.all(sent).then(() => undefined);
  }

  /** Resolves when everything sent so far has left this process: then the sent fds may be closed. */
  flush(): Promise<void> {
    return this.#comms.flush();
  }

  #watch(sent: readonly Promise<void>[]): void {
    for (const promise of sent) promise.catch((error: Error) => this.#fail(error.message));
  }

  /** Reads events only while there are runs, so that an idle supervisor does not keep the host alive. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#runs.size > 0) this.#dispatch(await this.#comms.recvProtobufBytes());
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    } finally {
      this.#pumping = false;
    }
  }

  #dispatch(bytes: Uint8Array): void {
    const event = decodeMessageStrictly('Event', bytes); // host and supervisor ship together
    const run =
      event.started?.run ??
      event.sandboxed?.run ??
      event.asked?.run ??
      event.ended?.run ??
      event.refused?.run;
    const listener = run === undefined ? undefined : this.#runs.get(run);
    if (run === undefined || listener === undefined) return;
    if (event.ended !== undefined || event.refused !== undefined) this.#runs.delete(run);
    if (event.started !== undefined) listener.started(event.started);
    else if (event.sandboxed !== undefined) listener.sandboxed(event.sandboxed);
    else if (event.asked !== undefined) listener.asked(event.asked);
    else if (event.ended !== undefined) listener.ended(event.ended);
    else if (event.refused !== undefined) {
      const reason = new TextDecoder().decode(event.refused.reason);
      listener.refused(`the supervisor refused the request: ${reason}`);
    }
  }

  #fail(reason: string): void {
    // It could not even be started; the closed channel is the first sign of this, and Node's error follows.
    if (this.#process.pid === undefined) return;
    for (const listener of this.#end(reason)) listener.lost(reason);
  }

  #failToStart(error: Error): void {
    const reason = `the supervisor cannot be started: ${error.message}${startHint(error)}`;
    for (const listener of this.#end(reason)) listener.refused(reason);
  }

  /** Removes and returns the runs whose end must be reported now. */
  #end(reason: string): readonly RunListener[] {
    if (this.#failure !== undefined) return [];
    this.#failure = reason;
    this.#comms.close();
    const runs = [...this.#runs.values()];
    this.#runs.clear();
    return runs;
  }
}

let current: Supervisor | undefined;
let lastRun = 0n;

/** The supervisor of this Node environment; a new one if the last has died. Throws if it cannot be started. */
export function supervisor(): Supervisor {
  if (current === undefined || !current.isUsable) current = new Supervisor();
  return current;
}

/** A number for a run that is never used again in this environment. */
export function nextRunNumber(): bigint {
  lastRun += 1n;
  return lastRun;
}

export type { Supervisor };
