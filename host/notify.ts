// What a host is told about a run, and the calls that it decides.
import type { Comms } from '../protocol/index.js';
import { AnswerKind, type AnswerRequest, type Asked } from '../protocol/messages.generated.js';
import { checkOptions } from '../protocol/options.js';
import { errnoNumber } from './policy/actions.js';
import type { Policy } from './policy/index.js';
import { printable } from './policy/quoting.js';
import type { Result, Violation } from './result.js';
import { describeViolation } from './violation.js';

/**
 * The host's answer to a notified call.
 *
 * - `'allow'`: the kernel executes it, and reads its arguments from memory again, which another thread may have
 *   changed;
 * - `{ errno }`: it fails with that errno, by name or number, and has no effect;
 * - `{ value }`: it has no effect and returns this number, a signed 64-bit one;
 * - `'deny'`: it has no effect, and the run ends as a violation.
 */
export type SyscallAnswer =
  | 'allow'
  | 'deny'
  | { readonly errno: string | number }
  | { readonly value: number | bigint };

/** A notified call, for which the policy says "notify": its thread waits before the call until the answer. */
export class NotifiedSyscall {
  /** Name of the syscall, "openat" for example. */
  readonly syscall: string;
  readonly number: number;
  /** The six argument registers, unsigned 64-bit. The sandboxee cannot change these any more. */
  readonly args: readonly bigint[];
  /** Process and thread that make it, as the host sees them. */
  readonly pid: number;
  readonly tid: number;
  /** Path of the executable the process runs. */
  readonly program: string;
  /** Everything in one line, as for a violation. */
  readonly description: string;
  /** Aborted when no answer is needed any more: the time is over, or the run has ended. */
  readonly signal: AbortSignal;
  readonly #memory: ReadonlyMap<number, Uint8Array>;

  constructor(asked: Asked, signal: AbortSignal) {
    const call = asked.call ?? {};
    const described = describeViolation(call);
    this.syscall = described.syscall;
    this.number = described.number;
    this.args = described.args.map(({ value }) => BigInt(value));
    this.pid = described.pid;
    this.tid = described.tid;
    this.program = described.program;
    this.description = described.description;
    this.signal = signal;
    this.#memory = new Map(
      (call.memory ?? []).map((entry) => [entry.argument ?? 0, entry.bytes ?? new Uint8Array()]),
    );
  }

  /**
   * The memory that the argument (0 to 5) points at: up to 4096 bytes, fewer if its mapping ends before, as they were
   * when the call was stopped. undefined if it is not an address, or nothing can be read there.
   */
  bytes(argument: number): Uint8Array | undefined {
    return this.#memory.get(argument);
  }

  /**
   * The text that the argument points at, up to its NUL. undefined if it cannot be read, has no NUL within 4096 bytes
   * (PATH_MAX), or is not UTF-8: the returned text is never a part of another one.
   */
  text(argument: number): string | undefined {
    const bytes = this.#memory.get(argument);
    const end = bytes?.indexOf(0) ?? -1;
    if (bytes === undefined || end < 0) return undefined;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end));
    } catch {
      return undefined;
    }
  }
}

/** What a host can be told about a run: the third argument of a Sandbox2. */
export interface Notify {
  /**
   * The sandboxee exists. With setEnableSandboxBeforeExec(false) it is not yet under its filter, only the handler uses
   * the comms channel until it returns, and sandboxMeHere() waits for it. Otherwise the program has begun. false, or an
   * exception, ends the run as SETUP_ERROR, FAILED_NOTIFY.
   */
  readonly onStarted?: (pid: number, comms: Comms) => boolean | undefined | Promise<boolean | undefined>;
  /**
   * Decides a call for which the policy says "notify". It may take its time: only this thread of the sandboxee waits,
   * and everything else goes on. An exception, or any other answer, counts as "deny".
   */
  readonly onSyscall?: (call: NotifiedSyscall) => SyscallAnswer | Promise<SyscallAnswer>;
  /** The time for each answer of onSyscall in milliseconds; after that it is "deny". Default: 5000. */
  readonly syscallTimeoutMs?: number;
  /** The run ends with this violation; called before onFinished. */
  readonly onViolation?: (violation: Violation) => void;
  /** The run has ended; called once, before run() and awaitResult() resolve. */
  readonly onFinished?: (result: Result) => void;
}

const handlers = ['onStarted', 'onSyscall', 'onViolation', 'onFinished'];
const defaultSyscallTimeoutMs = 5000;
/** Node's setTimeout() accepts no more, and a thread that waits for a day is a mistake. */
const maxSyscallTimeoutMs = 86_400_000;

/** Throws TypeError or RangeError. */
export function checkNotify(notify: Notify, policy: Policy): void {
  checkOptions('Sandbox2: notify', notify, [...handlers, 'syscallTimeoutMs']);
  for (const [name, value] of Object.entries(notify)) {
    if (name === 'syscallTimeoutMs') continue;
    if (value !== undefined && typeof value !== 'function') {
      throw new TypeError(`Sandbox2: notify.${name} must be a function`);
    }
  }
  const timeoutMs = notify.syscallTimeoutMs;
  if (
    timeoutMs !== undefined &&
    (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > maxSyscallTimeoutMs)
  ) {
    throw new RangeError(
      `Sandbox2: notify.syscallTimeoutMs must be a whole number from 1 to ${maxSyscallTimeoutMs}, not ${timeoutMs}`,
    );
  }
  if (asksHost(policy) && notify.onSyscall === undefined) {
    const what = policy.notifiesByDefault
      ? 'all calls that no rule decides'
      : policy.notifiedSyscalls.join(', ');
    throw new TypeError(
      `Sandbox2: the policy leaves ${what} to the host ("notify"), and there is no onSyscall in the third argument`,
    );
  }
}

/** True if any call can reach onSyscall. */
export function asksHost(policy: Policy): boolean {
  return policy.notifiesByDefault || policy.notifiedSyscalls.length > 0;
}

function encodeAnswer(answer: SyscallAnswer): AnswerRequest {
  if (answer === 'allow') return { kind: AnswerKind.ANSWER_ALLOW };
  if (answer === 'deny') return { kind: AnswerKind.ANSWER_DENY };
  if (typeof answer === 'object' && answer !== null) {
    if ('errno' in answer) {
      const errno = errnoNumber(answer.errno);
      if (errno > 0) return { kind: AnswerKind.ANSWER_ERRNO, errno };
    } else if ('value' in answer) {
      const value = BigInt(answer.value);
      if (BigInt.asIntN(64, value) === value) return { kind: AnswerKind.ANSWER_VALUE, value };
    }
  }
  const shown =
    typeof answer === 'object'
      ? Object.entries(answer ?? {})
          .flat()
          .join(': ')
      : String(answer);
  throw new TypeError(
    `onSyscall must answer 'allow', 'deny', { errno } from 1 to 4095, or { value } of 64 bits, not ${shown}`,
  );
}

/**
 * Calls the handlers of the end. What they throw is an uncaught exception of the process, as with any other listener.
 */
export function tellEnd(notify: Notify, result: Result): void {
  try {
    if (result.violation !== undefined) notify.onViolation?.(result.violation);
    notify.onFinished?.(result);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** The notified calls of one run that wait for an answer. */
export class Questions {
  readonly #notify: Notify;
  readonly #answer: (answer: AnswerRequest) => void;
  readonly #open = new Map<bigint, AbortController>();
  #failure: string | undefined;

  constructor(notify: Notify, answer: (answer: AnswerRequest) => void) {
    this.#notify = notify;
    this.#answer = answer;
  }

  get timeoutMs(): number {
    return this.#notify.syscallTimeoutMs ?? defaultSyscallTimeoutMs;
  }

  /** Why onSyscall failed, if it did. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Never rejects. */
  async ask(asked: Asked): Promise<void> {
    const question = asked.question ?? 0n;
    const controller = new AbortController();
    this.#open.set(question, controller);
    // The supervisor measures the time; this timer only aborts the handler's signal.
    const timer = setTimeout(() => controller.abort(), this.timeoutMs).unref();
    let answer: AnswerRequest;
    try {
      answer = encodeAnswer(
        (await this.#notify.onSyscall?.(new NotifiedSyscall(asked, controller.signal))) ?? 'deny',
      );
    } catch (error) {
      this.#failure ??= printable(error instanceof Error ? error.message : String(error));
      answer = { kind: AnswerKind.ANSWER_DENY };
    } finally {
      clearTimeout(timer);
    }
    if (!this.#open.delete(question)) return; // the run has ended meanwhile
    this.#answer({ ...answer, question });
  }

  /** The run has ended. */
  close(): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const controller of open) controller.abort();
  }
}
