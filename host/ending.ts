// Converts the supervisor's Ended event to the run's Result.
import {
  type CgroupUsage as CgroupUsageMessage,
  type Ended,
  EndKind,
  SetupStep,
} from '../protocol/messages.generated.js';
import { limitBehindSignal } from './limit-reached.js';
import type { CgroupValues } from './limits.js';
import { type CgroupUsage, ReasonCode, type ResourceUsage, Result, type Violation } from './result.js';
import type { LimitValues } from './rlimits.generated.js';
import { describeSetupFailure, type SetupContext } from './setup-failure.js';
import { stackTracesOf } from './stack-trace.js';
import { describeViolation, isForeignArch } from './violation.js';

export interface EndContext {
  readonly context: SetupContext;
  /** Why the host ended the handshake early, if it did. */
  readonly handshakeFailure: string | undefined;
  readonly limits: LimitValues;
  readonly cgroup: CgroupValues;
  /** How long onSyscall had for an answer, and why it failed, if it did. */
  readonly syscallTimeoutMs: number;
  readonly syscallFailure: string | undefined;
  /** The program had not called sandboxMeHere() yet. */
  readonly awaitsHandshake: boolean;
  /** The fork server had not forked it yet. */
  readonly awaitsFork: boolean;
}

const number = (value: bigint | undefined) => Number(value ?? 0n);

function cgroupUsageOf(message: CgroupUsageMessage): CgroupUsage {
  const known = (value: bigint | undefined) => (number(value) === 0 ? undefined : number(value));
  return {
    memoryPeakBytes: known(message.memoryPeakBytes),
    processesPeak: known(message.processesPeak),
    cpuTimeMs: number(message.cpuUs) / 1000,
    throttledMs: number(message.throttledUs) / 1000,
    oomKills: number(message.oomKills),
    refusedProcesses: number(message.refusedProcesses),
  };
}

function usageOf({ usage: message, cgroup }: Ended): ResourceUsage {
  return {
    userTimeMs: number(message?.userTimeUs) / 1000,
    systemTimeMs: number(message?.systemTimeUs) / 1000,
    maxRssBytes: number(message?.maxRssBytes),
    minorFaults: number(message?.minorFaults),
    majorFaults: number(message?.majorFaults),
    voluntarySwitches: number(message?.voluntarySwitches),
    involuntarySwitches: number(message?.involuntarySwitches),
    blocksRead: number(message?.blocksRead),
    blocksWritten: number(message?.blocksWritten),
    ...(cgroup !== undefined && { cgroup: cgroupUsageOf(cgroup) }),
  };
}

/** A program that ended, or was killed, before it was sandboxed: whatever it did, the set-up has failed. */
function unfinishedHandshake(event: Ended, end: EndContext): string | undefined {
  const how =
    event.kind === EndKind.EXITED
      ? `the program ended (exit code ${event.exitCode ?? 0}) before it called sandboxMeHere(); ` +
        `its error messages are shown with stdio: { stderr: 'inherit' }`
      : event.kind === EndKind.SIGNALED
        ? `the program was ended by signal ${event.signal ?? 0} before it called sandboxMeHere()`
        : undefined;
  if (end.handshakeFailure !== undefined)
    return `${end.handshakeFailure}${how === undefined ? '' : `; ${how}`}`;
  return end.awaitsHandshake ? how : undefined;
}

/** Why a notified call was not allowed. */
function denialOf(violation: Violation, end: EndContext): string | undefined {
  switch (violation.cause) {
    case 'host':
      return end.syscallFailure === undefined
        ? 'onSyscall denied it'
        : `onSyscall failed: ${end.syscallFailure}`;
    case 'noAnswer':
      return `onSyscall gave no answer within ${end.syscallTimeoutMs} ms`;
    case 'tooManyQuestions':
      return 'too many threads waited for onSyscall at once';
    default:
      return undefined;
  }
}

export function resultOfEnd(event: Ended, end: EndContext): Result {
  const rusage = usageOf(event);
  const stacks = stackTracesOf(event);
  const unfinished = unfinishedHandshake(event, end);
  if (unfinished !== undefined && event.kind !== EndKind.TIMED_OUT && event.kind !== EndKind.SETUP_FAILED) {
    const message = `the sandboxMeHere handshake failed: ${unfinished}`;
    return new Result({
      finalStatus: 'SETUP_ERROR',
      reasonCode: ReasonCode.FAILED_CONNECTION,
      message,
      rusage,
    });
  }
  switch (event.kind) {
    case EndKind.EXITED:
      return new Result({ finalStatus: 'OK', reasonCode: event.exitCode ?? 0, rusage, ...stacks });
    case EndKind.SIGNALED: {
      const reasonCode = event.signal ?? 0;
      const message = limitBehindSignal(reasonCode, rusage, end.limits, end.cgroup);
      return new Result({ finalStatus: 'SIGNALED', reasonCode, message, rusage, ...stacks });
    }
    case EndKind.TIMED_OUT: {
      const message = end.awaitsFork
        ? 'the fork server had not forked it yet'
        : end.awaitsHandshake
          ? 'the program had not called sandboxMeHere() yet'
          : undefined;
      return new Result({ finalStatus: 'TIMEOUT', reasonCode: 0, message, rusage, ...stacks });
    }
    case EndKind.KILLED:
      return new Result({ finalStatus: 'EXTERNAL_KILL', reasonCode: 0, rusage, ...stacks });
    case EndKind.VIOLATED: {
      const violation = describeViolation(event.violation ?? {});
      const reasonCode = isForeignArch(violation) ? ReasonCode.VIOLATION_ARCH : ReasonCode.VIOLATION_SYSCALL;
      return new Result({
        finalStatus: 'VIOLATION',
        reasonCode,
        message: denialOf(violation, end),
        violation,
        rusage,
        ...stacks,
      });
    }
    default: {
      const failure = describeSetupFailure(
        event.setupStep ?? SetupStep.SETUP_STEP_UNSPECIFIED,
        event.setupErrno ?? 0,
        new TextDecoder().decode(event.setupDetail),
        end.context,
      );
      if (event.kind === EndKind.SETUP_FAILED) {
        return new Result({ finalStatus: 'SETUP_ERROR', ...failure, rusage });
      }
      return new Result({
        finalStatus: 'INTERNAL_ERROR',
        reasonCode: ReasonCode.FAILED_MONITOR,
        message: failure.message,
        rusage,
      });
    }
  }
}
