// A fork server of one's own: its life, its children, and what goes wrong with either.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type ForkServer, type Policy, Sandbox2 } from '../../host/index.js';
import { withCrowd } from '../support/crowd.js';
import {
  checkout,
  eventually,
  isAlive,
  lenientPolicy,
  readAll,
  sandboxee,
  sandboxeePath,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('fork server');
/** SANDWIRE_ERROR_UNSUPPORTED, sandwire/error.h */
const sandwireErrorUnsupported = 13;

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
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** Why there is not what this fork server was to have (test/sandboxees/holdings.h), if it has ended over it. */
async function missingHolding(server: ForkServer): Promise<string | undefined> {
  const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
  await sandbox.runAsync(); // by its answer the fork server has what it takes
  await sandbox[Symbol.asyncDispose]();
  if (!server.isTerminated) return undefined;
  return `this kernel has it not: errno ${Number((await server.awaitResult()).exitCode) - 100}`;
}

function parentOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]);
}

function isZombie(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
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

test('no child sees what earlier ones received, nor the channel of requests', async () => {
  await using server = await startForkServer();
  const own = await forked(server, 'wait_forever');
  const first = new Executor(server);
  const secret = first.ipc.receiveFd(9);
  first.ipc.mapFd(openSync('/etc/passwd', 'r'), 'a-file');
  const sandbox = new Sandbox2(first, lenientPolicy());
  assert.ok(await sandbox.runAsync());
  const second = await forked(server, 'wait_forever');
  const inodes = (pid: number) => fdsOf(pid).filter((target) => target !== '/dev/null');
  const comms = (pid: number) => readlinkSync(`/proc/${pid}/fd/1023`);
  assert.ok(inodes(sandbox.pid).includes('/etc/passwd'));
  for (const pid of [own.sandbox.pid, second.sandbox.pid]) {
    // Standard output and comms.
    assert.is(inodes(pid).length, 2, inodes(pid).join(' '));
    assert.not.ok(
      inodes(pid).some((target) => inodes(sandbox.pid).includes(target) && target.startsWith('socket')),
    );
    assert.is.not(comms(pid), comms(server.pid));
  }
  closeSync(secret);
  for (const each of [own.sandbox, sandbox, second.sandbox]) await each[Symbol.asyncDispose]();
});

test('1,000 children in a row, 50 at once: the right results, and nothing grows', () =>
  withCrowd(async () => {
    await using server = await startForkServer();
    await (await forked(server, 'exit_with')).sandbox.awaitResult();
    const supervisor = parentOf(server.pid);
    const before = {
      server: fdsOf(server.pid).length,
      supervisor: fdsOf(supervisor).length,
      host: fdsOf(process.pid).length,
    };
    const policy = lenientPolicy();
    for (let round = 0; round < 20; round++) {
      const runs = Array.from({ length: 50 }, async (_, index) => {
        const code = (round * 50 + index) % 256;
        const sandbox = new Sandbox2(new Executor(server), policy);
        if (await sandbox.runAsync()) await tellBehaviour(sandbox, 'exit_with', [String(code)]);
        const result = await sandbox.awaitResult();
        assert.is(String(result), `OK - Exit code: ${code}`);
        await sandbox[Symbol.asyncDispose]();
      });
      await Promise.all(runs);
    }
    await eventually('the fork server has no child left', () => childrenOf(server.pid).length === 0);
    await eventually('and no more fds', () => fdsOf(server.pid).length === before.server);
    // Spares of the policy are held by the supervisor for a while.
    await eventually('nor has its supervisor', () => fdsOf(supervisor).length <= before.supervisor + 40);
    await eventually('nor the host', () => fdsOf(process.pid).length <= before.host);
    await eventually('nor is there a zombie', () => !childrenOf(supervisor).some((pid) => isZombie(pid)));
  }));

test('kill -9 of the host: nobody is left', async () => {
  const host = spawn(process.execPath, [`${checkout}dist/test/host/fixtures/fork-and-wait.js`]);
  host.stderr.pipe(process.stderr);
  const line = await createInterface({ input: host.stdout })[Symbol.asyncIterator]().next();
  const pids = JSON.parse(String(line.value)) as number[];
  for (const pid of pids) assert.ok(isAlive(pid), `${pid} is there`);
  const supervisor = parentOf(pids[0] ?? 0);
  host.kill('SIGKILL');
  for (const pid of [...pids, supervisor]) await eventually(`process ${pid} is gone`, () => !isAlive(pid));
});

test('kill -9 of the supervisor: the fork server and its children end, and all are told', async () => {
  const host = spawn(process.execPath, [`${checkout}dist/test/host/fixtures/fork-and-wait.js`]);
  host.stderr.pipe(process.stderr);
  const lines = createInterface({ input: host.stdout })[Symbol.asyncIterator]();
  const pids = JSON.parse(String((await lines.next()).value)) as number[];
  process.kill(parentOf(pids[0] ?? 0), 'SIGKILL');
  for (let i = 0; i < 4; i++) {
    assert.match(
      String((await lines.next()).value),
      /^INTERNAL_ERROR - Code: FAILED_MONITOR: the supervisor died/,
    );
  }
  for (const pid of pids) await eventually(`process ${pid} is gone`, () => !isAlive(pid));
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
    const result = await sandbox.awaitResult({ timeoutMs: hangMs });
    assert.match(
      String(result),
      /^OK - Exit code: 7$|SETUP_ERROR.*(fork server|before it called sandboxMeHere)/,
    );
  }
});

test('a program that is no fork server, or none at all', async () => {
  for (const [executor, expected] of [
    [sandboxee('exit_with', ['3']), /it has ended: OK - Exit code: 3/],
    [sandboxee('exit_with', ['0']), /OK - Exit code: 0; it never called enterForkLoop\(\)/],
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

for (const [how, expected] of [
  ['before', /SETUP_ERROR.*forking in the fork server: before_fork: EDOM/],
  ['after', /SETUP_ERROR.*after_fork_in_child: EDOM/],
  ['thread', /SETUP_ERROR.*the fork server has 2 threads, 1 can be forked/],
  ['shared', /SETUP_ERROR.*memory that all its children could write to \(\/dev\/zero \(deleted\)\)/],
  ['writable', /SETUP_ERROR.*memory that all its children could write to \(\/memfd:mapped \(deleted\)\)/],
  ['late', /SETUP_ERROR.*memory that all its children could write to \(\/dev\/zero \(deleted\)\)/],
  ['aio', /SETUP_ERROR.*a ring or a device mapped, by which its children could act as it \(\/\[aio\]/],
  ['aio+', /SETUP_ERROR.*a ring or a device mapped, by which its children could act as it \(\/\[aio\]/],
  ['userfaultfd', /SETUP_ERROR.*a ring or a userfaultfd open \(fd \d+, anon_inode:\[userfaultfd\]\)/],
  ['directory+', /SETUP_ERROR.*a directory cannot be shared with children: .*\(fd 9\): EISDIR/],
] as const) {
  test(`a fork that is refused: ${how}`, async () => {
    await using server = await startForkServer({}, how);
    const missing = await missingHolding(server);
    if (missing !== undefined) {
      skip(`a fork that is refused: ${how}`, missing);
      return;
    }
    for (let i = 0; i < 3; i++) {
      const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
      assert.not(await sandbox.runAsync());
      assert.match(String(await sandbox.awaitResult()), expected);
    }
    assert.not(server.isTerminated);
  });
}

/** Root of a container has no CAP_SYS_RESOURCE. */
function mayRaiseLimits(): boolean {
  const effective = /^CapEff:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
}

test('a limit of core files that was lowered before the policy: set anew, or no sandboxee', async () => {
  for (const how of ['low', 'lowers']) {
    await using server = await startForkServer({}, how);
    await using sandbox = new Sandbox2(new Executor(server), lenientPolicy());
    const isStarted = await sandbox.runAsync();
    if (how === 'low' && mayRaiseLimits()) {
      assert.ok(isStarted);
      await tellBehaviour(sandbox, 'core_limit');
      assert.is((await sandbox.awaitResult()).exitCode, 0);
      continue;
    }
    assert.not(isStarted, how);
    const expected = /SETUP_ERROR.*FAILED_LIMITS: setting the limit of core files.*EPERM \(.*RLIMIT_CORE/;
    assert.match(String(await sandbox.awaitResult()), expected);
  }
});

test('a hook that never returns', async () => {
  await using server = await startForkServer({}, 'hang');
  const executor = new Executor(server);
  executor.limits.setWalltimeLimitMs(300);
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.not(await sandbox.runAsync());
  assert.match(String(await sandbox.awaitResult()), /TIMEOUT.*the fork server had not forked it yet/);
});

test('hooks, and threads that the program accepts', async () => {
  await using hooks = await startForkServer({}, 'hooks');
  const sandbox = new Sandbox2(new Executor(hooks), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  assert.is(await sandbox.comms.recvUint32(), 42);
  assert.is((await sandbox.awaitResult()).exitCode, 0);
  await using threads = await startForkServer({}, 'threads');
  assert.is((await (await forked(threads, 'exit_with', ['3'])).sandbox.awaitResult()).exitCode, 3);
});

test('memory that is shared for reading, and can never be written to, is no reason to refuse', async () => {
  await using server = await startForkServer({}, 'readonly');
  assert.is((await (await forked(server, 'exit_with', ['3'])).sandbox.awaitResult()).exitCode, 3);
});

test('a fork server has no io_uring, also where it says that it shares memory on purpose', async () => {
  for (const how of ['ring', 'ring+', 'ring-fd', 'ring-alone', 'ring-alone+']) {
    await using server = await startForkServer({}, how);
    assert.is((await server.awaitResult()).exitCode, 100 + 38, how); // ENOSYS
  }
});

test('nor has one that a script starts', async () => {
  const shell = new Executor('/bin/sh', ['sh', '-c', `exec ${sandboxeePath('behave')} fork ring`]);
  await using server = await shell.startForkServer();
  assert.is((await server.awaitResult()).exitCode, 100 + 38);
});

/** How the child of such a fork server ends that does this with its descriptors; see test/sandboxees/fds.c. */
async function endOf(how: string, ...doing: string[]): Promise<number[]> {
  await using server = await startForkServer({}, how);
  const codes: number[] = [];
  for (const word of doing) {
    const { sandbox } = await forked(server, 'fds', word.split(' '));
    codes.push((await sandbox.awaitResult()).exitCode ?? -1);
  }
  return codes;
}

test('what a fork server has open its children do not have; what it shares on purpose is the same file', async () => {
  assert.equal(await endOf('file', 'read 9', 'read 9'), [9, 9], 'EBADF');
  assert.equal(await endOf('file+', 'read 9', 'read 9', 'read 9', 'read 9'), [0, 0, 0, 99], 'one position');
  assert.equal(await endOf('directory', 'read 9'), [9]);
});

test('children cannot leave marks for each other on what is in the place of closed files', async () => {
  for (const how of ['null', 'eventfd']) {
    assert.equal(await endOf(how, 'mark', 'look'), [0, 0], how);
    assert.equal(
      await endOf(`${how}+`, 'mark', 'look'),
      [0, 1],
      `${how}: which they can where a file is shared`,
    );
  }
});

test('pages of a fork server may be merged with those of others, and of no child', async () => {
  await using server = await startForkServer({}, 'merging');
  const missing = await missingHolding(server);
  if (missing !== undefined) return skip('pages that are merged', missing);
  const policy = lenientPolicy((builder) => builder.allow('allowKeyrings'));
  const { sandbox, output } = await forked(server, 'tell_self', [], policy);
  await sandbox.awaitResult();
  assert.match(await output, /^PR_GET_MEMORY_MERGE=0$/m);
});

test('memory that is shared on purpose; a child that wants to fork', async () => {
  await using sharing = await startForkServer({}, 'shared+');
  assert.is((await (await forked(sharing, 'exit_with', ['3'])).sandbox.awaitResult()).exitCode, 3);
  await using again = await startForkServer({}, 'again');
  const sandbox = new Sandbox2(new Executor(again), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  assert.is(await sandbox.comms.recvUint32(), sandwireErrorUnsupported);
  assert.is((await sandbox.awaitResult()).exitCode, 0);
});

test('fifty on their way at once: none has what is on its way to another', () =>
  withCrowd(async () => {
    await using server = await startForkServer();
    const runs = await Promise.all(Array.from({ length: 50 }, () => forked(server, 'wait_forever')));
    for (const { sandbox } of runs) {
      const own = fdsOf(sandbox.pid).filter((target) => target !== '/dev/null');
      assert.is(own.length, 2, own.join(' ')); // standard output and comms
    }
    for (const { sandbox } of runs) await sandbox[Symbol.asyncDispose]();
  }));

test('a child that has ended before its host looks: what it said is there', async () => {
  await using server = await startForkServer({}, 'hooks');
  for (let round = 0; round < 20; round++) {
    const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
    const started = sandbox.runAsync();
    await new Promise((resolve) => setTimeout(resolve, 1)); // the request is answered by then, or is not
    await new Promise(setImmediate);
    for (const until = performance.now() + 10; performance.now() < until; ); // the host is busy
    assert.ok(await started, String(await sandbox.awaitResult({ timeoutMs: 1 }).catch(() => '')));
    assert.is(await sandbox.comms.recvUint32(), 42);
    await sandbox[Symbol.asyncDispose]();
  }
});

test('killed while it is led in: that is the result', async () => {
  await using server = await startForkServer();
  for (let round = 0; round < 60; round++) {
    const sandbox = new Sandbox2(new Executor(server), lenientPolicy());
    const started = sandbox.runAsync();
    await new Promise((resolve) => setTimeout(resolve, (round % 6) / 2));
    sandbox.kill();
    await started;
    assert.is((await sandbox.awaitResult()).finalStatus, 'EXTERNAL_KILL', `round ${round}`);
  }
});

test('a number that the fork server itself uses cannot be mapped; a name can', async () => {
  await using server = await startForkServer({}, 'null');
  const executor = new Executor(server);
  executor.ipc.mapFd(openSync('/dev/null', 'r'), 9);
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.not(await sandbox.runAsync());
  assert.match(
    String(await sandbox.awaitResult()),
    /SETUP_ERROR.*FAILED_IPC.*the fork server itself uses fd 9: EBUSY.*close it before the fork server waits/,
  );
});

test('a fork server that stands still while its child is led in: the others wait, and all goes on', async () => {
  await using server = await startForkServer();
  await (await forked(server, 'exit_with')).sandbox.awaitResult();
  process.kill(server.pid, 'SIGSTOP');
  const runs = Array.from({ length: 5 }, (_, code) => forked(server, 'exit_with', [String(code)]));
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(server.pid, 'SIGCONT');
  for (const [code, run] of runs.entries()) {
    assert.is((await (await run).sandbox.awaitResult()).exitCode, code);
  }
});

test('a fork server has no wall time but one of its own', async () => {
  const unlimited = sandboxee('behave', ['fork']).limits;
  assert.is(unlimited.walltimeMs, 120_000, 'of a sandboxee');
  assert.is(unlimited.forkServerWalltimeMs, 0);
  assert.is(unlimited.setWalltimeLimitMs(300).forkServerWalltimeMs, 300);
  const executor = sandboxee('behave', ['fork']);
  executor.limits.setWalltimeLimitMs(200);
  const server = await executor.startForkServer();
  assert.is((await server.awaitResult()).finalStatus, 'TIMEOUT');
  const late = new Sandbox2(new Executor(server), lenientPolicy());
  assert.not(await late.runAsync());
  assert.match(String(await late.awaitResult()), /it has ended: Process TIMEOUT/);
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
