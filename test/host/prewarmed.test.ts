// Prewarmed sandboxes: how many, for how long, that each is used once, and that nothing of one run is left for the
// next.
// Early: it waits for what is kept some seconds.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ExecutorOptions, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { childrenOf, commOf, supervisorPid } from '../support/processes.js';
import { eventually, isAlive, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { whileKept } from '../support/while-kept.js';

const test = suite('prewarmed sandboxes');
let policies = 0;

/** A policy that no other test uses. */
const newPolicy = () => lenientPolicy((builder) => builder.setHostname(`prewarmed-${++policies}`));

async function initOf(policy = newPolicy(), options: ExecutorOptions = {}): Promise<number> {
  await using sandbox = new Sandbox2(sandboxee('exit_with', [], options), policy);
  const result = await sandbox.run();
  assert.ok(result.isOk, String(result));
  return sandbox.initPid;
}

const named = (name: string) => childrenOf(supervisorPid()).filter((pid) => commOf(pid) === name);
/** The inits of the prewarmed sandboxes, and their standby processes. */
const waiting = () => named('sandwire-init');
const standbyProcesses = () => named('sandwire-inside');

/** Waits until the prewarmed sandboxes of other tests have ended. */
async function quiet(): Promise<void> {
  await eventually('no sandbox is there', () => waiting().length === 0);
}

test('as many as requested, from the first run on, and a run takes one of them', async () => {
  await whileKept(async () => {
    const policy = newPolicy();
    await initOf(policy, { sparesAhead: 3 });
    await eventually('three are ready', () => waiting().length === 3);
    const ready = waiting();
    const [first, second] = [
      await initOf(policy, { sparesAhead: 3 }),
      await initOf(policy, { sparesAhead: 3 }),
    ];
    await eventually('three are ready again', () => waiting().length === 3 && !waiting().includes(first));
    return () => {
      assert.ok(ready.includes(first), 'one made ahead');
      assert.is.not(first, second, 'another for each run');
    };
  }, quiet);
  await quiet();
});

test('0: none is made, and none is used', async () => {
  await quiet();
  const policy = newPolicy();
  await initOf(policy, { sparesAhead: 2 });
  await eventually('two are ready', () => waiting().length === 2);
  const ready = waiting();
  assert.not.ok(ready.includes(await initOf(policy, { sparesAhead: 0 })));
  await eventually('they are gone', () => waiting().length === 0);
  for (let i = 0; i < 5; i++) await initOf(policy, { sparesAhead: 0 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(waiting().length, 0);
});

test('by default none for the first use, some from the second on, ended when no run takes them', async () => {
  await quiet();
  const policy = newPolicy();
  await initOf(policy);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(waiting().length, 0);
  await initOf(policy);
  await eventually('some are ready', () => waiting().length === 2);
  await quiet();
});

test('not for another policy, user or host name', async () => {
  await whileKept(async () => {
    const policy = newPolicy();
    await initOf(policy, { sparesAhead: 1 });
    await eventually('one is ready', () => waiting().length === 1);
    const [ready = 0] = waiting();
    const other = await initOf(newPolicy());
    const isKept = isAlive(ready);
    return () => {
      assert.is.not(other, ready);
      assert.ok(isKept, 'it is there for a run of its own policy');
    };
  }, quiet);
  await quiet();
});

test('a prewarmed sandbox that was killed fails no run', async () => {
  const policy = newPolicy();
  for (let i = 0; i < 40; i++) {
    await initOf(policy, { sparesAhead: 2 });
    await eventually('two are ready', () => waiting().length === 2 && standbyProcesses().length === 2);
    const killed = i % 4 < 2 ? waiting() : standbyProcesses();
    for (const pid of killed) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {} // it was not kept any longer
    }
    while (killed.some(isAlive)); // dead, but the supervisor may not have noticed yet
    if (i % 2 === 1) await new Promise((resolve) => setTimeout(resolve, i));
    assert.ok((await initOf(policy)) > 0);
  }
  await quiet();
});

test('the number is bounded', async () => {
  for (const sparesAhead of [-1, 65, 1.5, Number.NaN]) {
    assert.throws(
      () => sandboxee('exit_with', [], { sparesAhead }),
      /sparesAhead must be a whole number from 0 to 64/,
    );
  }
  // Many policies with many each: no more than 256 in all.
  for (let i = 0; i < 6; i++) await initOf(newPolicy(), { sparesAhead: 64 });
  let most = 0;
  await eventually('some are made', () => waiting().length > 64);
  await eventually('all are gone again', () => {
    most = Math.max(most, waiting().length);
    return waiting().length === 0;
  });
  assert.ok(most < 256 + 64, `${most}, those on their way out included`);
});

test('nothing of one run is left for the next', async () => {
  const policy = new PolicyBuilder()
    .defaultAction('allowAllSyscalls')
    .allow('allowKeyrings')
    .addTmpfs('/tmp', 1 << 20)
    .addDirectory('/proc')
    .setRootWritable()
    .build();
  const traces = async (what: string) => {
    const { result, output } = await runToEnd(sandboxee('traces', [what], { sparesAhead: 4 }), policy);
    assert.is(result.exitCode, 0, String(result));
    return output.trim().split('\n');
  };
  const left = await traces('leave');
  for (const kind of ['/tmp/trace', '/trace', 'shared memory', 'abstract socket', 'process']) {
    assert.ok(left.includes(kind), `${kind}: ${left}`);
  }
  for (let i = 0; i < 3; i++) {
    assert.equal(await traces('find'), ['']);
    await traces('leave');
  }
});

test.run();
