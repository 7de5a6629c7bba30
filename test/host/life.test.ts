// Sandboxees that do everything to survive, hosts that end in every way, and processes that are killed at any moment:
// each run has one result, and no process outlives another.
// Early: it kills for some seconds.
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Executor, Sandbox2 } from '../../host/index.js';
import { run } from '../support/command.js';
import { withCrowd } from '../support/crowd.js';
import { allGone, everybody, startFamily } from '../support/family.js';
import { childrenOf, countInPidNamespace, supervisorPid } from '../support/processes.js';
import {
  checkout,
  eventually,
  isAlive,
  lenientPolicy,
  runToEnd,
  sandboxee,
  sandboxeePath,
} from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('life and death');

/** Nothing of a sandbox is left: its init has ended, and with it everything in its pid namespace. */
const isGone = (sandbox: Sandbox2) => !isAlive(sandbox.initPid) && !isAlive(sandbox.pid);

function staying(how: string): Executor {
  const executor = sandboxee('stay', [how]);
  executor.limits.setRlimitNproc(400);
  return executor;
}

const stubborn: readonly (readonly [string, () => Executor])[] = [
  ['ignores every signal and uses up the CPU', () => sandboxee('spin')],
  ['stops itself', () => sandboxee('wait_forever', ['stop'])],
  ['is a fork bomb', () => staying('bomb')],
  ['is a fork bomb of daemons in sessions of their own', () => staying('daemons')],
  ['stops each of its children, and they stop it', () => staying('stop-each-other')],
  ['sends every signal to all processes that it can see', () => staying('signals')],
];
for (const [name, executor] of stubborn) {
  test(`a sandboxee that ${name}: walltime ends it`, async () => {
    const started = executor();
    started.limits.setWalltimeLimitMs(300);
    await using sandbox = new Sandbox2(started, lenientPolicy());
    assert.is((await sandbox.run()).finalStatus, 'TIMEOUT');
    await eventually('all of it has ended', () => isGone(sandbox));
  });

  test(`a sandboxee that ${name}: kill() ends it`, async () => {
    const sandbox = new Sandbox2(executor(), lenientPolicy());
    await sandbox.runAsync();
    await new Promise((resolve) => setTimeout(resolve, 100));
    sandbox.kill();
    assert.is((await sandbox.awaitResult({ timeoutMs: hangMs })).finalStatus, 'EXTERNAL_KILL');
    await sandbox[Symbol.asyncDispose]();
    await sandbox[Symbol.asyncDispose]();
    await eventually('all of it has ended', () => isGone(sandbox));
  });
}

test('512 processes that send signals endlessly delay neither their end nor other runs', async () => {
  const executor = sandboxee('stay', ['512-signals']);
  executor.limits.setRlimitNproc(1200).setWalltimeLimitMs(hangMs);
  await using sandbox = new Sandbox2(executor, lenientPolicy());
  await sandbox.runAsync();
  await eventually('all of them are there', () => countInPidNamespace(sandbox.pid) >= 512);
  const other = await runToEnd(sandboxee('exit_with', ['4']));
  assert.is(other.result.exitCode, 4);
  sandbox.setWalltimeLimitMs(500);
  assert.is((await sandbox.awaitResult({ timeoutMs: hangMs })).finalStatus, 'TIMEOUT');
  await eventually('all of it has ended', () => isGone(sandbox));
});

test('kill(), and then no call waits', async () => {
  const sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  await sandbox.runAsync();
  sandbox.kill();
  await eventually('it is gone', () => isGone(sandbox));
});

for (const how of [[], ['violate']]) {
  test(`no process of the sandbox runs on once its result is reported ${how}`, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-'));
    try {
      const counter = path.join(folder, 'counter');
      chmodSync(folder, 0o755);
      const policy = lenientPolicy((builder) => builder.addDirectoryAt(folder, '/out', false));
      for (let i = 0; i < 10; i++) {
        writeFileSync(counter, Buffer.alloc(5 * 4096));
        chmodSync(counter, 0o666);
        const { result } = await runToEnd(sandboxee('write_late', ['4', ...how]), policy);
        const then = readFileSync(counter);
        assert.ok(result.isOk || result.finalStatus === 'VIOLATION', String(result));
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.is(readFileSync(counter).compare(then), 0, `run ${i}`);
        if (how.length > 0)
          assert.is(then.compare(Buffer.alloc(5 * 4096)), 0, `run ${i}: past its violation`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test('a child that is left behind does not delay the result', async () => {
  const { result } = await runToEnd(sandboxee('stay', ['orphan']));
  assert.is(result.exitCode, 5);
});

for (const [name, signal, code] of [
  ['process.exit()', 'SIGUSR2', 7],
  ['an uncaught exception', 'SIGHUP', 1],
  ['SIGINT', 'SIGINT', null],
] as const) {
  test(`the host ends by ${name}: all processes end`, async () => {
    const family = await startFamily();
    family.host.stderr.resume();
    family.host.kill(signal);
    const [exitCode] = (await once(family.host, 'exit')) as [number | null];
    assert.is(exitCode, code);
    await allGone(family);
  });
}

test('SIGTERM to its whole process group, which the host survives: the sandboxees survive too', async () => {
  const family = await startFamily('wait_forever', 'deaf', { detached: true });
  process.kill(-(family.host.pid ?? 0), 'SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const pid of [family.host.pid ?? 0, ...everybody(family)]) assert.ok(isAlive(pid), `${pid} is there`);
  family.host.kill('SIGKILL');
  await allGone(family);
});

test('the supervisor is killed: its runs are lost, and the next one starts another', async () => {
  const running = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  await running.runAsync();
  const supervisor = supervisorPid();
  process.kill(supervisor, 'SIGKILL');
  const lost = await running.awaitResult({ timeoutMs: hangMs });
  assert.match(
    String(lost),
    /^INTERNAL_ERROR - Code: FAILED_MONITOR: the supervisor died, and the sandbox with it/,
  );
  assert.is((await runToEnd(sandboxee('exit_with', ['4']))).result.exitCode, 4);
  assert.is.not(supervisorPid(), supervisor);
  await eventually('the old ones are gone', () => isGone(running));
  await running[Symbol.asyncDispose]();
});

test('the supervisor is killed while nothing runs: its channel is closed without waiting for garbage collection', async () => {
  await runToEnd(sandboxee('exit_with', ['0']));
  const pid = supervisorPid();
  const before = readdirSync('/proc/self/fd').length;
  process.kill(pid, 'SIGKILL');
  await eventually('the channel is closed', () => readdirSync('/proc/self/fd').length < before);
  assert.is(String((await runToEnd(sandboxee('exit_with', ['0']))).result), 'OK - Exit code: 0');
  assert.is.not(supervisorPid(), pid);
});

test('a host whose parent ignores SIGCHLD', async () => {
  const node = [
    process.execPath,
    `${checkout}dist/test/host/fixtures/run-once.js`,
    sandboxeePath('exit_with'),
    '9',
  ];
  const finished = await run('sh', ['-c', 'trap "" CHLD; exec "$@"', 'sh', ...node]);
  assert.is(finished.stdout, 'OK - Exit code: 9\n', finished.stderr);
});

test('any process killed at any moment: one result for each run, and nothing is left', () =>
  withCrowd(async () => {
    await runToEnd(sandboxee('exit_with'));
    const supervisor = supervisorPid();
    let killing = true;
    let kills = 0;
    const killer = (async () => {
      while (killing) {
        const children = childrenOf(supervisor);
        const victim = children[Math.floor(Math.random() * children.length)];
        if (victim !== undefined) {
          try {
            process.kill(victim, 'SIGKILL');
            kills += 1;
          } catch {
            // gone meanwhile
          }
        }
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      }
    })();
    const statuses = new Map<string, number>();
    for (let round = 0; round < 10; round++) {
      const results = await Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          const executor =
            index % 3 === 0
              ? sandboxee('echo', ['me-here']).setEnableSandboxBeforeExec(false)
              : index % 3 === 1
                ? sandboxee('exit_with', ['1'])
                : sandboxee('wait_forever');
          executor.limits.setWalltimeLimitMs(400);
          const sandbox = new Sandbox2(executor, lenientPolicy());
          await sandbox.runAsync();
          const result = await sandbox.awaitResult({ timeoutMs: hangMs });
          await sandbox[Symbol.asyncDispose]();
          return result;
        }),
      );
      for (const { finalStatus } of results) statuses.set(finalStatus, (statuses.get(finalStatus) ?? 0) + 1);
    }
    killing = false;
    await killer;
    const known = ['OK', 'SIGNALED', 'TIMEOUT', 'SETUP_ERROR', 'INTERNAL_ERROR'];
    assert.ok(
      [...statuses.keys()].every((status) => known.includes(status)),
      JSON.stringify([...statuses]),
    );
    assert.ok(kills > 20, `${kills} kills`);
    assert.is(supervisorPid(), supervisor, 'the supervisor itself has seen it all');
    await eventually('no child of it is left', () => childrenOf(supervisor).length === 0);
    assert.is((await runToEnd(sandboxee('exit_with', ['8']))).result.exitCode, 8);
  }));

test.run();
