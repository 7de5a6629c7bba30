// Which limit a run ran into, where anything tells.
import { constants } from 'node:os';
import type { CgroupValues } from './limits.js';
import type { ResourceUsage } from './result.js';
import type { LimitValues } from './rlimits.generated.js';

/**
 * What a signal tells of, if it does. The kernel itself does not say, and a program can send itself each of these signals:
 * so what is not counted by the kernel is a possibility, and is told as one.
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
  // Soft and hard limit are one, so the kernel kills (setrlimit(2), RLIMIT_CPU). It counts whole ticks, also those of
  // which the process had a part only, while the usage is exact: on a busy machine the limit comes well before.
  const cpuUsedUp = limits.cpuSeconds !== undefined && cpuMs >= Number(limits.cpuSeconds) * 500;
  if ((signal === SIGKILL || signal === SIGXCPU) && cpuUsedUp) {
    return `so ends a program that reaches the limit of ${limits.cpuSeconds} s of CPU time, or one that is sent the signal`;
  }
  if (signal === SIGXFSZ && limits.fileSizeBytes !== undefined) {
    return `so ends a program that writes a file beyond the limit of ${limits.fileSizeBytes} bytes, or one that is sent the signal`;
  }
  if (signal === SIGSEGV) return limitOfStack(limits);
  return undefined;
}

/** A stack that may not grow and an invalid address end alike. */
function limitOfStack({ stackBytes, addressSpaceBytes }: LimitValues): string | undefined {
  const limits = [
    ...(stackBytes === undefined ? [] : [`${stackBytes} bytes of stack`]),
    ...(addressSpaceBytes === undefined ? [] : [`${addressSpaceBytes} bytes of address space`]),
  ];
  if (limits.length === 0) return undefined;
  return `so ends a program whose stack would grow beyond the limit of ${limits.join(' or ')}, or one that crashes`;
}
