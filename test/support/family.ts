// A host, its supervisor and its sandboxees, to be killed one by one.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { checkout, isAlive, sandboxeePath } from './sandbox.js';

export interface Family {
  readonly host: ChildProcessWithoutNullStreams;
  readonly supervisor: number;
  readonly inits: readonly number[];
  readonly sandboxees: readonly number[];
  readonly lines: AsyncIterator<string>;
}

/** With the kind "cgroup" its sandboxees have a limit that needs one. */
export async function startFamily(sandboxee = 'wait_forever', kind = ''): Promise<Family> {
  const host = spawn(process.execPath, [
    `${checkout}dist/test/host/fixtures/run-and-wait.js`,
    sandboxeePath(sandboxee),
    kind,
  ]);
  host.stderr.pipe(process.stderr);
  const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  const pids = JSON.parse(String(first.value)) as Omit<Family, 'host' | 'lines'>;
  const family = { host, lines, ...pids };
  assert.is(readFileSync(`/proc/${family.supervisor}/comm`, 'utf8').trim(), 'sandwire-superv');
  for (const pid of everybody(family)) assert.ok(isAlive(pid), `${pid} is there`);
  return family;
}

export function everybody(family: Family): number[] {
  return [family.supervisor, ...family.inits, ...family.sandboxees];
}
