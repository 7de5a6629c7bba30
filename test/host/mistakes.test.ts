// Wrong calls: each throws at once, and says what is meant instead.
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  Buffer,
  connect,
  connectSync,
  Executor,
  type ForkServer,
  listen,
  type Policy,
  PolicyBuilder,
  Sandbox2,
} from '../../host/index.js';
import { lenientPolicy, sandboxee } from '../support/sandbox.js';

const test = suite('mistakes');
const sandbox = () => new Sandbox2(sandboxee('exit_with'), lenientPolicy());

async function rejects(attempt: () => Promise<unknown>, expected: RegExp): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    return assert.match(String(error), expected);
  }
  assert.unreachable(`${expected}: nothing was thrown`);
}

test('something that is not a policy', () => {
  const make = (policy: unknown) => () => new Sandbox2(new Executor('/usr/bin/true'), policy as Policy);
  assert.throws(make(undefined), /^Sandbox2: the second argument must be a Policy$/);
  assert.throws(make(new PolicyBuilder()), /this is its builder; call build\(\)/);
});

// Mistakes that a compiler would report: in JavaScript a misspelled option would otherwise be ignored.
const misspelled = { captur: {}, timeout: 5, shred: true, env: {} } as object;
const throwing: readonly (readonly [string, () => unknown])[] = [
  ['new Executor()', () => new Executor('/usr/bin/true', ['true'], misspelled)],
  ['Executor.node()', () => Executor.node('/script.js', [], misspelled)],
  ['Executor.nodeForkServer()', () => Executor.nodeForkServer('/script.js', [], misspelled)],
  ['Buffer.create()', () => Buffer.create(5, misspelled)],
  ['Buffer.fromFd()', () => Buffer.fromFd(0, misspelled)],
  ['Sandbox2, notify', () => new Sandbox2(sandboxee('exit_with'), lenientPolicy(), misspelled)],
  ['a …Sync receive', () => sandbox().comms.recvUint32Sync(misspelled)],
  [
    'a signal for a …Sync receive',
    () => sandbox().comms.exchangeSync(1, new Uint8Array(), { signal: 1 } as object),
  ],
  ['connectSync()', () => connectSync('@sandwire-nobody', misspelled)],
];
const rejecting: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['startForkServer()', () => sandboxee('behave', ['fork']).startForkServer(misspelled)],
  ['run()', () => sandbox().run(misspelled as { capture: object })],
  ['run({ capture })', () => sandbox().run({ capture: { maxbytes: 3 } as object })],
  ['awaitResult()', () => sandbox().awaitResult(misspelled)],
  ['a receive', () => sandbox().comms.recvUint32(misspelled)],
  ['connect()', () => connect('@sandwire-nobody', misspelled)],
];
for (const [name, attempt] of [...throwing, ...rejecting]) {
  test(`an option that does not exist: ${name}`, () =>
    rejects(async () => attempt(), /TypeError: .*there is no option "\w+", only \w+/));
}

test('an option that does not exist: accept()', async () => {
  await using listener = listen(`@sandwire-test-mistakes-${process.pid}`);
  await rejects(() => listener.accept(misspelled), /there is no option "captur", only timeoutMs, signal/);
});

test('options that are not an object', async () => {
  const noObject = true as unknown as { maxBytes: number };
  await rejects(
    () => sandbox().run({ capture: noObject }),
    /capture: the options are an object with maxBytes, not true/,
  );
  const stdio = 'inherit' as unknown as { stdin: 'inherit' };
  assert.throws(
    () => sandboxee('exit_with', [], { stdio }),
    /stdio is an object, \{ stdin, stdout, stderr \}, .*"inherit"/,
  );
});

test('what is set after the start', async () => {
  const executor = sandboxee('wait_forever');
  await using started = new Sandbox2(executor, lenientPolicy());
  executor.limits.setRlimitCpu(100).setWalltimeLimitMs(60_000); // still counts
  await started.runAsync();
  assert.throws(
    () => executor.limits.setWalltimeLimitMs(1),
    /started already; sandbox\.setWalltimeLimitMs\(\) changes it/,
  );
  assert.throws(
    () => executor.limits.setRlimitCpu(1),
    /Limits\.setRlimitCpu: the program has been started already$/,
  );
  assert.throws(() => executor.limits.setCgroupPids(1), /Limits\.setCgroupPids: .*started already/);
  assert.throws(() => executor.setCwd('/tmp'), /Executor\.setCwd: .*started already/);
  assert.throws(() => executor.setEnableSandboxBeforeExec(false), /started already/);
  assert.throws(() => executor.ipc.receiveFd(1), /started already/);
  assert.is(executor.limits.walltimeMs, 60_000);
  started.setWalltimeLimitMs(1);
  assert.is((await started.awaitResult()).finalStatus, 'TIMEOUT');
});

test('what is set after the start of a fork server', async () => {
  const executor = sandboxee('behave', ['fork']);
  await using _server = await executor.startForkServer();
  assert.throws(() => executor.limits.setWalltimeLimitMs(1), /started already/);
});

test('an environment that is not an object of strings', () => {
  for (const envs of [
    ['A=b'],
    'A=b',
    5,
    new Map([['A', 'b']]),
    new Set(['A=b']),
    () => {},
    { A: 1 },
    { A: null },
  ]) {
    const options = { envs: envs as unknown as Record<string, string> };
    assert.throws(() => new Executor('/usr/bin/true', ['true'], options), TypeError);
  }
  const plain = Object.assign(Object.create(null), { A: 'b' }) as Record<string, string>;
  assert.equal(new Executor('/usr/bin/true', ['true'], { envs: plain }).envs, { A: 'b' });
  assert.ok('PATH' in new Executor('/usr/bin/true', ['true'], { envs: process.env as typeof plain }).envs);
});

test('run() of what has been disposed of', async () => {
  const disposed = sandbox();
  await disposed[Symbol.asyncDispose]();
  await rejects(() => disposed.run(), /^Error: Sandbox2\.runAsync: this Sandbox2 has been disposed of$/);
  await rejects(() => disposed.run({ capture: {} }), /has been disposed of$/);
  assert.throws(() => disposed.runAsync(), /has been disposed of$/);
});

test('an fd that is not open', () => {
  const { ipc } = sandboxee('exit_with');
  assert.throws(
    () => ipc.mapFd(777, 3),
    /^IPC\.mapFd: fd 777 of the host cannot be mapped: it is not open \(EBADF\)$/,
  );
  assert.throws(() => ipc.mapDupedFd(777, 3), /^IPC\.mapDupedFd: fd 777/);
});

test('a stream that is received and captured', async () => {
  for (const fd of [1, 2]) {
    const executor = sandboxee('exit_with');
    closeSync(executor.ipc.receiveFd(fd));
    const both = new Sandbox2(executor, lenientPolicy());
    await rejects(
      () => both.run({ capture: {} }),
      new RegExp(`capture wants fd ${fd} .*receiveFd\\(\\) has mapped`),
    );
    await both[Symbol.asyncDispose]();
  }
  const sentElsewhere = sandboxee('exit_with', [], { stdio: { stdout: 'inherit' } });
  assert.ok((await new Sandbox2(sentElsewhere, lenientPolicy()).run({ capture: {} })).result.isOk);
});

test('a receive before there is a sandboxee', async () => {
  const early = sandbox();
  assert.throws(
    () => early.comms.recvUint32Sync(),
    /would wait for ever: .*call sandbox\.runAsync\(\) first/,
  );
  await early[Symbol.asyncDispose]();
  await using patient = sandbox();
  assert.throws(() => patient.comms.recvUint32Sync({ timeoutMs: 1 }), /TIMEOUT/);
  const warned = once(process, 'warning') as Promise<[Error]>;
  const pending = patient.comms.recvUint32().catch(String);
  const keepsAlive = setTimeout(() => {}, 60_000);
  assert.match(
    String((await warned)[0]),
    /SandwireWarning: a receive waits .*call sandbox\.runAsync\(\) first/,
  );
  clearTimeout(keepsAlive);
  await patient.run();
  assert.match(String(await pending), /CLOSED/);
});

test('an error of comms names the sandboxee', async () => {
  await using waiting = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  await waiting.runAsync();
  const whom = `fd \\d+ \\(sandboxee, pid ${waiting.pid}\\)`;
  await rejects(
    () => waiting.comms.recvUint32({ timeoutMs: 1 }),
    new RegExp(`recvUint32 on ${whom}: .*TIMEOUT`),
  );
});

test('a fork server that was not waited for', async () => {
  const starting = sandboxee('behave', ['fork']).startForkServer();
  assert.throws(() => new Executor(starting as unknown as ForkServer), /await startForkServer\(\)/);
  await (await starting)[Symbol.asyncDispose]();
});

test('a Buffer made by new', () => {
  const Constructor = Buffer as unknown as new (size: number) => Buffer;
  assert.throws(() => new Constructor(10), /use Buffer\.create\(/);
});

test('limits that overflowed in JavaScript', () => {
  const { limits } = sandboxee('exit_with');
  assert.throws(() => limits.setRlimitAs(4 << 30), /0 bytes are too few.*write 4 \* 2 \*\* 30/);
  assert.throws(() => limits.setRlimitData(3 << 30), /-1073741824 bytes is negative.*write 4 \* 2 \*\* 30/);
  assert.throws(() => limits.setRlimitStack(0n), RangeError);
  for (const few of [0, 1, 3]) {
    assert.throws(() => limits.setRlimitNofile(few), /: \d files are too few: at least 4 are needed, /);
  }
  assert.throws(
    () => limits.setRlimitCpu('abc' as unknown as number),
    /a whole number of seconds is needed, not abc/,
  );
});

test('a file where a directory is meant, and the other way round', () => {
  assert.throws(() => new PolicyBuilder().addFile('/etc'), /addDirectory\(\) shows one/);
  assert.throws(() => new PolicyBuilder().addDirectory('/etc/hosts'), /addFile\(\) shows a file/);
  assert.throws(
    () => new PolicyBuilder().addFile('/no/such/file'),
    /ENOENT \(there is none; addFileIfExists\(\)/,
  );
});

test.run();
