// 10,000 runs in a row: what has grown at the end.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Executor, PolicyBuilder, Sandbox2 } from '../host/index.js';
import { countFds } from '../test/support/fds.js';
import { childrenOf, supervisorPid } from '../test/support/processes.js';
import { nothing } from './floors.js';
import type { Section } from './table.js';

const runs = 10_000;
const policy = new PolicyBuilder().allowStaticStartup().allowExit().build();

async function run(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await using sandbox = new Sandbox2(new Executor(nothing), policy);
    const result = await sandbox.run();
    if (!result.isOk) throw new Error(String(result));
  }
}

function belongings(supervisor: number) {
  const list = (file: string) => readdirSync(`/proc/${file}`).length;
  return {
    'fds of the host': countFds(),
    'fds of the supervisor': list(`${supervisor}/fd`),
    'threads of the host': list('self/task'),
    'children of the supervisor': childrenOf(supervisor).length,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
    'KiB of the supervisor': Number(
      /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${supervisor}/status`, 'utf8'))?.[1],
    ),
    'KiB of the heap of the host, after garbage collection': heapKiB(),
  };
}

function heapKiB(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 1024;
}

export async function benchGrowth(): Promise<Section> {
  await run(500);
  const supervisor = supervisorPid();
  await sleep(6000); // the prewarmed sandboxes have ended
  const before = belongings(supervisor);
  await run(runs);
  await sleep(6000);
  const after = belongings(supervisor);
  const figures = Object.entries(after).map(([what, value]) => ({
    what: `more ${what}`,
    value: value - before[what as keyof typeof before],
    unit: '',
  }));
  return { title: `${runs} runs in a row`, rows: [], figures };
}
