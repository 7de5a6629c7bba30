// A fork server of one's own: its life, its children, and what goes wrong with either.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type ForkServer, type Policy, Sandbox2 } from '../../host/index.js';
import {
  eventually,
  isAlive,
  lenientPolicy,
  readAll,
  sandboxee,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';

const test = suite('fork server');

interface ForkedRun {
  readonly sandbox: Sandbox2;
  readonly output: Promise<string>;
}

/** A child of the fork server, under its policy and told what to do. */
async function forked(
  server: ForkServer,
  name: string,
  args: readonly string[] = [],
  policy: Policy = lenientPolicy(),
): Promise<ForkedRun> {
  const executor = new Executor(server);
  const output = readAll(executor.ipc.receiveFd(1));
  const sandbox = new Sandbox2(executor, policy);
  if (await sandbox.runAsync()) await tellBehaviour(sandbox, name, args);
  return { sandbox, output };
}

function fdsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) =>
    readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/, 'n'),
  );
}

/** Children of a process, the dead ones too. */
function childrenOf(pid: number): string[] {
  const parents = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return parents.filter((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === pid;
    } catch {
      return false;
    }
  });
}

test('children return what they are told to, one after the other', async () => {
  await using server = await startForkServer();
  assert.ok(isAlive(server.pid));
  await (await forked(server, 'exit_with')).sandbox.awaitResult(); // it has started up by then
  await eventually('the fork server has its four fds', () => fdsOf(server.pid).length === 4);
  const before = fdsOf(server.pid);
  for (let code = 0; code < 10; code++) {
    const { sandbox } = await forked(server, 'exit_with', [String(code)]);
    assert.is((await sandbox.awaitResult()).exitCode, code);
    assert.ok(sandbox.pid > 0 && sandbox.initPid > 0);
    await sandbox[Symbol.asyncDispose]();
  }
  await eventually(
    'the fork server has no more fds than before',
    () => fdsOf(server.pid).length === before.length,
  );
  assert.equal(fdsOf(server.pid), before);
  await eventually('it has no children left', () => childrenOf(server.pid).length === 0);
});

test('it ends by itself when it is disposed of, and its children go on', async () => {
  const server = await startForkServer();
  const { sandbox } = await forked(server, 'echo');
  await server[Symbol.asyncDispose]();
  assert.is(String(await server.awaitResult()), 'OK - Exit code: 0');
  assert.ok(server.isTerminated);
  await sandbox.comms.sendUint32(42);
  assert.is(await sandbox.comms.recvUint32(), 42);
  sandbox.comms.close();
  assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
  const late = new Sandbox2(new Executor(server), lenientPolicy());
  assert.not(await late.runAsync());
  assert.match(
    String(await late.awaitResult()),
    /SETUP_ERROR.*FAILED_SUBPROCESS: no child of the fork server .* it has ended/,
  );
});

test('killed while children run: they go on, and later requests fail in words', async () => {
  const server = await startForkServer();
  const running = await Promise.all(Array.from({ length: 20 }, () => forked(server, 'echo')));
  server.kill();
  assert.is(String(await server.awaitResult()), 'Process killed by user - Code: 0');
  for (const { sandbox } of running) {
    await sandbox.comms.sendString('still here');
    assert.is(await sandbox.comms.recvString(), 'still here');
  }
  const late = new Sandbox2(new Executor(server), lenientPolicy());
  assert.not(await late.runAsync());
  assert.match(String(await late.awaitResult()), /it has ended: Process killed by user/);
  for (const { sandbox } of running) {
    sandbox.comms.close();
    assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
    await eventually('the sandboxee is gone', () => !isAlive(sandbox.pid) && !isAlive(sandbox.initPid));
  }
});

test('killed between requests: each ends with a result', async () => {
  const server = await startForkServer();
  const runs = Array.from({ length: 20 }, () => forked(server, 'exit_with', ['7']));
  process.kill(server.pid, 'SIGKILL');
  assert.match(String(await server.awaitResult()), /SIGKILL/);
  for (const run of runs) {
    const { sandbox } = await run;
    const result = await sandbox.awaitResult({ timeoutMs: 5000 });
    assert.match(
      String(result),
      /^OK - Exit code: 7$|SETUP_ERROR.*(fork server|before it called sandboxMeHere)/,
    );
  }
});

test('a program that is no fork server, or none at all', async () => {
  for (const [executor, expected] of [
    [sandboxee('exit_with', ['3']), /it has ended: OK - Exit code: 3/],
    [new Executor('/nonexistent'), /it has ended: SETUP_ERROR.*no such file/],
  ] as const) {
    const server = await executor.startForkServer();
    const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
    assert.not(await sandbox.runAsync());
    assert.match(String(await sandbox.awaitResult()), expected);
    await server[Symbol.asyncDispose]();
  }
});

test('a fork server that never answers: time-out, kill, and the reply time', async () => {
  const executor = new Executor(sandboxeePath('wait_forever'), ['wait_forever']);
  const server = await executor.startForkServer({ replyTimeoutMs: 300 });
  const slow = new Sandbox2(new Executor(server), lenientPolicy());
  assert.not(await slow.runAsync());
  assert.match(String(await slow.awaitResult()), /SETUP_ERROR.*has not answered within 300 ms/);
  const limited = new Executor(server);
  limited.limits.setWalltimeLimitMs(50);
  assert.match(
    String(await new Sandbox2(limited, lenientPolicy()).run()),
    /^Process TIMEOUT.*had not forked it yet/,
  );
  const killed = new Sandbox2(new Executor(server), lenientPolicy());
  const started = killed.runAsync();
  killed.kill();
  assert.not(await started);
  assert.is(String(await killed.awaitResult()), 'Process killed by user - Code: 0');
  await server[Symbol.asyncDispose]();
  assert.is((await server.awaitResult()).finalStatus, 'EXTERNAL_KILL');
});

test('a set-up that fails is told in words', async () => {
  await using server = await startForkServer();
  const executor = new Executor(server, { cwd: '/nowhere' });
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.not(await sandbox.runAsync());
  assert.match(
    String(await sandbox.awaitResult()),
    /SETUP_ERROR.*FAILED_CWD: chdir, inside the sandbox, to \/nowhere: ENOENT/,
  );
});

test('bad arguments', async () => {
  await using server = await startForkServer();
  const bad = (make: () => unknown) => assert.throws(make, (error: Error) => error instanceof TypeError);
  bad(() => new Executor(server, ['x'] as never));
  bad(() => new Executor(server, { envs: { A: 'b' } } as never));
  assert.throws(() => new Executor(server).setEnableSandboxBeforeExec(true), /execs nothing/);
  await new Executor(server).startForkServer().then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, /has one already/),
  );
});

test.run();
