// kill -9 of each process in turn: nobody outlives anybody.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Sandbox2 } from '../../host/index.js';
import { allGone, startFamily } from '../support/family.js';
import { childrenOf, commOf, parentOf, supervisorPid } from '../support/processes.js';
import {
  checkout,
  eventually,
  isAlive,
  lenientPolicy,
  runToEnd,
  sandboxee,
  sandboxeePath,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('death');

function isZombie(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0] === 'Z';
  } catch {
    return true; // gone meanwhile
  }
}

test('kill -9 of the host', async () => {
  const family = await startFamily();
  family.host.kill('SIGKILL');
  await allGone(family);
});

// A process keeps its fds, the control channel among them, until the last of its threads has ended.
test('kill -9 of a host that has threads which its sandboxees hold up', async () => {
  const family = await startFamily('hold_up', 'held-up');
  if (family.heldUp === 0) skip('a host that is held up', 'this kernel lets no pipe be locked by splice()');
  family.host.kill('SIGKILL');
  await allGone(family);
});

test('a host with such threads ends by itself, too', async () => {
  const family = await startFamily('hold_up', 'held-up');
  if (family.heldUp === 0) skip('a host that ends', 'this kernel lets no pipe be locked by splice()');
  const exit = once(family.host, 'exit');
  family.host.kill('SIGUSR2');
  await allGone(family);
  assert.is((await exit)[0], 7);
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

test('kill -9 of the supervisor at any moment while sandboxes are made leaves none of them', async () => {
  const orphans = () =>
    readdirSync('/proc').filter(
      (pid) =>
        commOf(pid) === 'sandwire-init' &&
        !isZombie(pid) &&
        !commOf(parentOf(pid) ?? 0).startsWith('sandwire-'),
    );
  const before = orphans();
  const policy = lenientPolicy((builder) =>
    builder.addLibrariesForBinary(sandboxeePath('exit_with')).addDirectory('/usr/share'),
  );
  // With the processors busy: whoever is to die is a while in doing so.
  const busy = [1, 2, 3].map(() => new Worker('for (;;);', { eval: true }));
  try {
    for (let round = 0; round < 20; round++) {
      const runs = Array.from({ length: 6 }, () =>
        new Sandbox2(sandboxee('exit_with', ['0'], { sparesAhead: 4 }), policy).run(),
      );
      await sleep(1 + Math.random() * 12);
      const supervisor = childrenOf(process.pid).find((pid) => commOf(pid).startsWith('sandwire-superv'));
      if (supervisor !== undefined) process.kill(supervisor, 'SIGKILL');
      await Promise.all(runs);
    }
  } finally {
    await Promise.all(busy.map((worker) => worker.terminate()));
  }
  await eventually('no sandbox is left', () => orphans().every((pid) => before.includes(pid)));
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

/** Tries it again and again, without a turn of the event loop. */
function spinUntil<T>(attempt: () => T | undefined): T {
  const limit = performance.now() + hangMs;
  for (;;) {
    const found = attempt();
    if (found !== undefined) return found;
    if (performance.now() > limit) throw new Error('never');
  }
}

/** A field of /proc/PID/stat, counted from the state: 0 is the state, 2 the process group; undefined if the process is gone. */
function statOf(pid: number | string, field: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[field];
  } catch {
    return undefined;
  }
}

test('a process that is stopped as soon as it is there does not outlive the supervisor', async () => {
  const stopped = new Set<number>();
  for (let round = 0; round < 20; round++) {
    await runToEnd(sandboxee('exit_with', ['0'], { sparesAhead: 0 })); // a supervisor is there
    const supervisor = supervisorPid();
    const children = `/proc/${supervisor}/task/${supervisor}/children`;
    const known = new Set(readFileSync(children, 'utf8').split(' '));
    await using sandbox = new Sandbox2(sandboxee('wait_forever', [], { sparesAhead: 0 }), lenientPolicy());
    const started = sandbox.runAsync();
    await new Promise(setImmediate);
    // Stopped as early as it is one that outlives a system call of its parent's, while this process does nothing else.
    const found = spinUntil(() => {
      const child = readFileSync(children, 'utf8')
        .split(' ')
        .find((pid) => pid !== '' && !known.has(pid) && statOf(pid, 2) !== statOf(supervisor, 2));
      try {
        if (child !== undefined) process.kill(Number(child), 'SIGSTOP');
      } catch {
        return undefined; // it has ended by itself
      }
      return child;
    });
    stopped.add(Number(found));
    spinUntil(() => ('TZX'.includes(statOf(found, 0) ?? 'X') ? true : undefined));
    process.kill(supervisor, 'SIGKILL');
    await Promise.race([started, sleep(10_000)]); // true if it was another process that was stopped
  }
  await eventually('all of them are gone', () => [...stopped].every((pid) => !isAlive(pid)));
});

test.run();
