// How a run ended, as plain data.
import { constants } from 'node:os';

/** The final statuses, with sandbox2's numbers. */
export const FinalStatus = {
  UNSET: 0,
  OK: 1,
  SETUP_ERROR: 2,
  VIOLATION: 3,
  SIGNALED: 4,
  TIMEOUT: 5,
  EXTERNAL_KILL: 6,
  INTERNAL_ERROR: 7,
} as const;
export type FinalStatus = keyof typeof FinalStatus;

/** The meaning of reason codes for SETUP_ERROR, VIOLATION and INTERNAL_ERROR, with sandbox2's numbers. */
export const ReasonCode = {
  UNSUPPORTED_ARCH: 0,
  FAILED_SUBPROCESS: 3,
  FAILED_NOTIFY: 4,
  FAILED_CONNECTION: 5,
  FAILED_WAIT: 6,
  FAILED_NAMESPACES: 7,
  FAILED_IPC: 9,
  FAILED_LIMITS: 11,
  FAILED_CWD: 12,
  FAILED_POLICY: 13,
  FAILED_VERSION_CHECK: 14,
  FAILED_CONFIG: 15,
  FAILED_MONITOR: 19,
  FAILED_KILL: 20,
  VIOLATION_SYSCALL: 24,
  VIOLATION_ARCH: 25,
} as const;
export type ReasonCode = keyof typeof ReasonCode;

/** A syscall the policy did not allow. It was stopped before it had any effect. */
export interface Violation {
  /** Name of the syscall; "UNKNOWN[n/0x…]" if the table has none. */
  readonly syscall: string;
  readonly number: number;
  /** The six argument registers: as hexadecimal text, and decoded. */
  readonly args: readonly { readonly value: string; readonly text: string }[];
  /** For example "X86-64"; if it is not the machine's own, the result is a VIOLATION_ARCH. */
  readonly arch: string;
  /** Address after the syscall instruction, hexadecimal text. */
  readonly instructionPointer: string;
  /** Process and thread that made it, as the host sees them. */
  readonly pid: number;
  readonly tid: number;
  /**
   * The path of the executable that the process was running: the path in the sandbox if it is there, otherwise the
   * host's.
   */
  readonly program: string;
  /** The name of the thread (prctl(2), PR_SET_NAME). It chooses the name itself, so this is only a hint. */
  readonly comm: string;
  /**
   * Who refused it: the policy's rules; or, for a notified call: the host, the host by giving no answer in time, or the
   * limit on notified calls at once.
   */
  readonly cause: 'policy' | 'host' | 'noAnswer' | 'tooManyQuestions';
  /** Everything in one line. */
  readonly description: string;
}

/** Where one thread was. */
export interface ThreadStackTrace {
  /** The tid as the host sees it. */
  readonly tid: number;
  /**
   * The innermost first: "function+0x1c(0x55d0c0de61c)", or "/path/of/library.so+0x1c61c(0x7f00c0de61c)" if no symbol
   * is known. It may contain anything that the sandboxee had in its memory and files.
   */
  readonly frames: readonly string[];
}

/** What the sandboxee and the children that it waited for have used (getrusage(2)). */
export interface ResourceUsage {
  readonly userTimeMs: number;
  readonly systemTimeMs: number;
  readonly maxRssBytes: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  readonly blocksRead: number;
  readonly blocksWritten: number;
  /** The usage of all processes of the sandboxee together, for a run with a cgroup limit. */
  readonly cgroup?: CgroupUsage;
}

/**
 * What the cgroup of a run counted. Values that its limits did not concern are 0 or undefined (cgroup-v2.rst of the
 * kernel).
 */
export interface CgroupUsage {
  /** The most it had at once, including files that it read and wrote in memory; undefined before Linux 5.19. */
  readonly memoryPeakBytes: number | undefined;
  /** The most processes and threads at once; undefined before Linux 6.1. */
  readonly processesPeak: number | undefined;
  readonly cpuTimeMs: number;
  /** How long it had to stand still because of setCgroupCpu(). */
  readonly throttledMs: number;
  /** Processes that were killed because of setCgroupMemory(). */
  readonly oomKills: number;
  /** How many times it got EAGAIN for a new process because of setCgroupPids(). */
  readonly refusedProcesses: number;
}

export interface ResultFields {
  readonly finalStatus: FinalStatus;
  /** OK: the exit code. SIGNALED: the signal. TIMEOUT, EXTERNAL_KILL: 0. Otherwise a number of ReasonCode. */
  readonly reasonCode: number;
  /** What exactly failed and what to do, for SETUP_ERROR and INTERNAL_ERROR; which limit was reached, for SIGNALED. */
  readonly message?: string | undefined;
  readonly violation?: Violation | undefined;
  readonly rusage?: ResourceUsage | undefined;
  /** The frames of the thread that violated, crashed, or (otherwise) came first; empty if none were collected. */
  readonly stackTrace?: readonly string[] | undefined;
  /** The same for all threads, if the policy asks for them. */
  readonly threadStackTraces?: readonly ThreadStackTrace[] | undefined;
  /** Why a requested stack trace is missing or incomplete. */
  readonly stackTraceNote?: string | undefined;
}

/** A result as an Abseil status. */
export interface ResultStatus {
  readonly code: 'OK' | 'DEADLINE_EXCEEDED' | 'INTERNAL';
  /** Empty for OK, otherwise the text of toString(). */
  readonly message: string;
}

/** Node lists aliases too (SIGIOT after SIGABRT, SIGPOLL before SIGIO); the usual name is the POSIX one. */
const aliases = new Set(['SIGIOT', 'SIGPOLL', 'SIGUNUSED', 'SIGCLD']);
const signalNames = new Map<number, string>(
  Object.entries(constants.signals)
    .filter(([name]) => !aliases.has(name))
    .map(([name, number]) => [number, name]),
);
const reasonNames = new Map<number, ReasonCode>(
  Object.entries(ReasonCode).map(([name, number]) => [number, name as ReasonCode]),
);

/** The final status of a run, why, and what it used. Plain data: JSON.stringify() keeps all of it. */
export class Result implements ResultFields {
  readonly finalStatus: FinalStatus;
  readonly reasonCode: number;
  readonly message: string | undefined;
  readonly violation: Violation | undefined;
  readonly rusage: ResourceUsage | undefined;
  readonly stackTrace: readonly string[];
  readonly threadStackTraces: readonly ThreadStackTrace[];
  readonly stackTraceNote: string | undefined;

  constructor(fields: ResultFields) {
    this.finalStatus = fields.finalStatus;
    this.reasonCode = fields.reasonCode;
    this.message = fields.message;
    this.violation = fields.violation;
    this.rusage = fields.rusage;
    this.stackTrace = fields.stackTrace ?? [];
    this.threadStackTraces = fields.threadStackTraces ?? [];
    this.stackTraceNote = fields.stackTraceNote;
  }

  /** The program ran and ended by itself with exit code 0. */
  get isOk(): boolean {
    return this.finalStatus === 'OK' && this.reasonCode === 0;
  }

  /** Exit code of a program that ended by itself. */
  get exitCode(): number | undefined {
    return this.finalStatus === 'OK' ? this.reasonCode : undefined;
  }

  /** Name of the signal that ended the program, "SIGSEGV" for example. */
  get signal(): string | undefined {
    return this.finalStatus === 'SIGNALED' ? signalName(this.reasonCode) : undefined;
  }

  /** The name of the reason code, if the status has one. */
  get reason(): ReasonCode | undefined {
    return this.finalStatus === 'SETUP_ERROR' ||
      this.finalStatus === 'VIOLATION' ||
      this.finalStatus === 'INTERNAL_ERROR'
      ? reasonNames.get(this.reasonCode)
      : undefined;
  }

  /** OK for exit code 0, DEADLINE_EXCEEDED for a time-out, INTERNAL for everything else. */
  toStatus(): ResultStatus {
    if (this.isOk) return { code: 'OK', message: '' };
    return { code: this.finalStatus === 'TIMEOUT' ? 'DEADLINE_EXCEEDED' : 'INTERNAL', message: String(this) };
  }

  /** The frames in one line; for several threads with "Task ID [n]: " before each. Empty if there are none. */
  get stackTraceText(): string {
    const threads = this.threadStackTraces;
    if (threads.length < 2) return this.stackTrace.join(' ');
    return threads.map(({ tid, frames }) => `Task ID [${tid}]: ${frames.join(' ')}`).join(' ');
  }

  /** One line, worded like sandbox2's. */
  toString(): string {
    const detail = this.message === undefined ? '' : `: ${this.message}`;
    const frames = this.stackTraceText;
    const stack = frames === '' ? '' : ` Stack: ${frames}`;
    switch (this.finalStatus) {
      case 'OK':
        return `OK - Exit code: ${this.reasonCode}`;
      case 'VIOLATION':
        return this.violation === undefined
          ? `SYSCALL VIOLATION - Unknown Violation${stack}`
          : `SYSCALL VIOLATION - Violating Syscall ${this.violation.description}${detail}${stack}`;
      case 'SIGNALED':
        return `Process terminated with a SIGNAL - Signal: ${signalName(this.reasonCode)} [${this.reasonCode}]${detail}${stack}`;
      case 'TIMEOUT':
        return `Process TIMEOUT - Code: ${this.reasonCode}${detail}${stack}`;
      case 'EXTERNAL_KILL':
        return `Process killed by user - Code: ${this.reasonCode}${stack}`;
      case 'UNSET':
        return `UNSET - Code: ${this.reasonCode}`;
      default:
        return `${this.finalStatus} - Code: ${this.reason ?? `UNKNOWN: ${this.reasonCode}`}${detail}`;
    }
  }

  toJSON(): ResultFields & {
    readonly reason?: ReasonCode;
    readonly exitCode?: number;
    readonly signal?: string;
  } {
    return {
      finalStatus: this.finalStatus,
      reasonCode: this.reasonCode,
      ...(this.reason !== undefined && { reason: this.reason }),
      ...(this.exitCode !== undefined && { exitCode: this.exitCode }),
      ...(this.signal !== undefined && { signal: this.signal }),
      ...(this.message !== undefined && { message: this.message }),
      ...(this.violation !== undefined && { violation: this.violation }),
      ...(this.rusage !== undefined && { rusage: this.rusage }),
      ...(this.stackTrace.length > 0 && { stackTrace: this.stackTrace }),
      ...(this.threadStackTraces.length > 0 && { threadStackTraces: this.threadStackTraces }),
      ...(this.stackTraceNote !== undefined && { stackTraceNote: this.stackTraceNote }),
    };
  }
}

function signalName(number: number): string {
  return signalNames.get(number) ?? `SIG${number}`;
}
