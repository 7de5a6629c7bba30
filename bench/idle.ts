// A thousand idle C sandboxees at once: how much memory each takes, and that they use no CPU.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Executor, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { parentOf } from '../test/support/processes.js';
import type { Section } from './table.js';

const waits = fileURLToPath(new URL('../../build/sandboxees/wait_forever', import.meta.url));
const count = 1000;

function pssKiB(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
}

/** User and system time in clock ticks of 10 ms. */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

export async function benchIdle(): Promise<Section> {
  const policy = new PolicyBuilder().allowStaticStartup().allowSyscall('pause').allowHandleSignals().build();
  const sandboxes = Array.from({ length: count }, () => {
    const executor = new Executor(waits);
    executor.limits.setWalltimeLimitMs(0);
    return new Sandbox2(executor, policy);
  });
  try {
    const started = performance.now();
    if ((await Promise.all(sandboxes.map((sandbox) => sandbox.runAsync()))).includes(false)) {
      throw new Error('a sandboxee has ended early');
    }
    const startedMs = performance.now() - started;
    const pids = sandboxes.flatMap(({ pid, initPid }) => [pid, initPid]);
    const supervisor = parentOf(sandboxes[0]?.initPid ?? 0) ?? 0;
    const all = [...pids, supervisor];
    await sleep(1000);
    const before = all.reduce((sum, pid) => sum + ticks(pid), 0);
    await sleep(3000);
    const used = all.reduce((sum, pid) => sum + ticks(pid), 0) - before;
    const memory = pids.reduce((sum, pid) => sum + pssKiB(pid), 0);
    return {
      title: `${count} idle C sandboxees at once`,
      rows: [],
      figures: [
        { what: 'each, init and sandboxee together', value: memory / count, unit: 'KiB Pss' },
        { what: 'the supervisor of all', value: pssKiB(supervisor), unit: 'KiB Pss' },
        { what: 'CPU of all of them in 3 s', value: used * 10, unit: 'ms' },
        { what: 'until all were running', value: startedMs, unit: 'ms' },
      ],
    };
  } finally {
    await Promise.all(sandboxes.map((sandbox) => sandbox[Symbol.asyncDispose]()));
  }
}
