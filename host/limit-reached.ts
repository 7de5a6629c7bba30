// Finds the limit that a run has reached, if anything shows it.
import { constants } from 'node:os';
import type { CgroupValues } from './limits.js';
import type { ResourceUsage } from './result.js';
import type { LimitValues } from './rlimits.generated.js';

/**
 * The limit behind a signal, if there is one. The kernel itself does not report it, and a program can send itself each
 * of these signals. So anything that the kernel does not count is described as a possibility.
 */
export function limitBehindSignal(
  signal: number,
  usage: ResourceUsage,
  limits: LimitValues,
  cgroup: CgroupValues,
): string | undefined {
  const { SIGKILL, SIGSEGV, SIGXCPU, SIGXFSZ } = constants.signals;
  if (signal === SIGKILL && (usage.cgroup?.oomKills ?? 0) > 0) {
    return `the limit of ${cgroup.memoryBytes} bytes of memory for all its processes together was reached, and the kernel killed one of them`;
  }
  const cpuMs = usage.userTimeMs + usage.systemTimeMs;
  // The soft limit equals the hard one, so the kernel kills (setrlimit(2), RLIMIT_CPU). It counts whole ticks, even
  // those of which the process had only a part, while the usage is exact: on a busy machine the limit is reached well
  // before.
  const cpuUsedUp = limits.cpuSeconds !== undefined && cpuMs >= Number(limits.cpuSeconds) * 500;
  if ((signal === SIGKILL || signal === SIGXCPU) && cpuUsedUp) {
    return `it may have reached the limit of ${limits.cpuSeconds} s of CPU time, or was sent the signal`;
  }
  if (signal === SIGXFSZ && limits.fileSizeBytes !== undefined) {
    return `it may have written a file beyond the limit of ${limits.fileSizeBytes} bytes, or was sent the signal`;
  }
  if (signal === SIGSEGV) return limitOfStack(limits);
  return undefined;
}

/** A stack that may not grow and an invalid address end in the same way. */
function limitOfStack({ stackBytes, addressSpaceBytes }: LimitValues): string | undefined {
  const limits = [
    ...(stackBytes === undefined ? [] : [`${stackBytes} bytes of stack`]),
    ...(addressSpaceBytes === undefined ? [] : [`${addressSpaceBytes} bytes of address space`]),
  ];
  if (limits.length === 0) return undefined;
  return `its stack may have reached the limit of ${limits.join(' or ')}, or it crashed for another reason`;
}
