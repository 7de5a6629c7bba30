// kill -9 of each process in turn: nobody outlives anybody.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { allGone, startFamily } from '../support/family.js';
import { checkout, eventually, isAlive, sandboxeePath } from '../support/sandbox.js';

const test = suite('death');

test('kill -9 of the host', async () => {
  const family = await startFamily();
  family.host.kill('SIGKILL');
  await allGone(family);
});

test('kill -9 of the supervisor: the host learns it, and everything ends', async () => {
  const family = await startFamily();
  process.kill(family.supervisor, 'SIGKILL');
  for (const _ of family.inits) {
    assert.match(
      String((await family.lines.next()).value),
      /^INTERNAL_ERROR - Code: FAILED_MONITOR: the supervisor died/,
    );
  }
  await once(family.host, 'exit');
  assert.is(family.host.exitCode, 0);
  await allGone(family);
});

test('kill -9 of one init: its run ends, the others go on', async () => {
  const family = await startFamily();
  const [init = 0] = family.inits;
  const [sandboxee = 0] = family.sandboxees;
  process.kill(init, 'SIGKILL');
  assert.match(
    String((await family.lines.next()).value),
    /^INTERNAL_ERROR - Code: FAILED_MONITOR: .*init process .* was killed/,
  );
  await eventually('its sandboxee is gone', () => !isAlive(sandboxee) && !isAlive(init));
  for (const pid of family.sandboxees.slice(1)) assert.ok(isAlive(pid));
  family.host.kill('SIGKILL');
  await allGone(family);
});

test('kill -9 of a sandboxee is its result', async () => {
  const family = await startFamily();
  const [sandboxee = 0] = family.sandboxees;
  process.kill(sandboxee, 'SIGKILL');
  assert.match(String((await family.lines.next()).value), /SIGKILL \[9\]/);
  family.host.kill('SIGKILL');
  await allGone(family);
});

test('SIGTERM to the process group of the host passes the supervisor by', async () => {
  const host = spawn(
    process.execPath,
    [`${checkout}dist/test/host/fixtures/run-and-wait.js`, sandboxeePath('wait_forever')],
    {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
  const pids = JSON.parse(String((await lines.next()).value)) as { supervisor: number };
  const group = Number(readFileSync(`/proc/${pids.supervisor}/stat`, 'utf8').split(') ')[1]?.split(' ')[2]);
  assert.is(group, pids.supervisor, 'the supervisor leads a group of its own');
  process.kill(-(host.pid ?? 0), 'SIGTERM');
  await eventually('the supervisor is gone with its host', () => !isAlive(pids.supervisor));
});

test.run();
