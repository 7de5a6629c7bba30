// Many runs, one after the other and at once: nothing piles up on either side. SANDWIRE_SOAK_RUNS makes it longer.
import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Sandbox2 } from '../../host/index.js';
import { childrenOf, supervisorPid } from '../support/processes.js';
import { eventually, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';

const test = suite('soak');
const runs = Number(process.env['SANDWIRE_SOAK_RUNS'] ?? 300);
const atOnce = Math.min(200, Math.ceil(runs / 5));

function kilobytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

const fdsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length;

async function oneRun(index: number): Promise<void> {
  const kind = index % 4;
  const executor =
    kind === 0
      ? sandboxee('exit_with', [String(index % 100)])
      : kind === 1
        ? sandboxee('die_by', ['abort'])
        : kind === 2
          ? sandboxee('make_syscall', ['101'])
          : sandboxee('wait_forever');
  if (kind === 3) executor.limits.setWalltimeLimitMs(30);
  const { result } = await runToEnd(executor);
  const expected = ['OK', 'SIGNALED', 'VIOLATION', 'TIMEOUT'][kind];
  assert.is(result.finalStatus, expected, String(result));
}

test('one after the other, and many at once', async () => {
  for (let index = 0; index < 40; index++) await oneRun(index);
  const supervisor = supervisorPid();
  const settled = () => childrenOf(supervisor).length === 0;
  await eventually('spares and runs are gone', settled, 15_000);
  const before = { host: fdsOf(process.pid), supervisor: fdsOf(supervisor), memory: kilobytes(supervisor) };
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');

  for (let index = 0; index < runs; index++) await oneRun(index);
  await Promise.all(Array.from({ length: atOnce }, (_, index) => oneRun(index)));

  assert.is(supervisorPid(), supervisor, 'the same supervisor did all of it');
  await eventually('spares and runs are gone', settled, 15_000);
  await eventually('no fd of the host is left', () => fdsOf(process.pid) <= before.host + 1);
  assert.ok(
    fdsOf(supervisor) <= before.supervisor + 1,
    `fds: ${before.supervisor} before, ${fdsOf(supervisor)} after`,
  );
  assert.ok(
    kilobytes(supervisor) <= before.memory + 512,
    `KiB: ${before.memory} before, ${kilobytes(supervisor)} after`,
  );
  assert.is(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
});

test('a hundred idle sandboxees', async () => {
  const sandboxes = Array.from(
    { length: 100 },
    () => new Sandbox2(sandboxee('wait_forever'), lenientPolicy()),
  );
  await Promise.all(sandboxes.map((sandbox) => sandbox.runAsync()));
  assert.is(new Set(sandboxes.map((sandbox) => sandbox.pid)).size, 100);
  const pss = (pid: number) =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  const [first] = sandboxes;
  try {
    const each = pss(first?.pid ?? 0) + pss(first?.initPid ?? 0);
    assert.ok(each < 1024, `${each} KiB Pss for init and sandboxee together`);
  } catch (error) {
    // Only root may read the memory map of another user's process.
    if (!(error instanceof Error && 'code' in error && error.code === 'EACCES')) throw error;
  }
  for (const sandbox of sandboxes) sandbox.kill();
  for (const sandbox of sandboxes) assert.is((await sandbox.awaitResult()).finalStatus, 'EXTERNAL_KILL');
});

test.run();
