// A host, its supervisor and its sandboxees, to be killed one by one.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as assert from 'uvu/assert';
import { checkout, eventually, isAlive, sandboxeePath } from './sandbox.js';

export interface Family {
  readonly host: ChildProcessWithoutNullStreams;
  readonly supervisor: number;
  readonly inits: readonly number[];
  readonly sandboxees: readonly number[];
  /** Threads of the host's that wait where no signal reaches them. */
  readonly heldUp: number;
  readonly lines: AsyncIterator<string>;
}

/** With the kind "cgroup" the sandboxees have a limit that needs a cgroup. */
export async function startFamily(
  sandboxee = 'wait_forever',
  kind = '',
  options: { readonly detached?: boolean } = {},
): Promise<Family> {
  const args = [`${checkout}dist/test/host/fixtures/run-and-wait.js`, sandboxeePath(sandboxee), kind];
  const host = spawn(process.execPath, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
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

export async function allGone(family: Family): Promise<void> {
  for (const pid of everybody(family)) await eventually(`process ${pid} is gone`, () => !isAlive(pid));
}
