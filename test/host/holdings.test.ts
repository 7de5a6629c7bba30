// What a sandboxee holds at its first instruction, against the tables of docs/holdings.md.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type Policy, PolicyBuilder, probe, Sandbox2 } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { run } from '../support/command.js';
import {
  attributesOf,
  faultsOf,
  holdingsOf,
  type Row,
  readTables,
  toldBySelf,
  type Way,
} from '../support/holdings.js';
import { parentOf, supervisorPid } from '../support/processes.js';
import {
  checkout,
  eventually,
  lenientPolicy,
  readAll,
  sandboxee,
  sandboxeePath,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('what a sandboxee holds');
const rows = readTables();
const met = new Map<Way, Set<Row>>(['E', 'M', 'C', 'N'].map((way) => [way as Way, new Set()]));
const host = await attributesOf(process.pid);
const alone = await run(sandboxeePath('tell_self'), []);
const hostItself = toldBySelf(alone.stdout);

const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
chmodSync(folder, 0o777);
test.after(() => rmSync(folder, { recursive: true }));

/** One that makes sockets, and one that does not and shows what a policy can. */
const plain = lenientPolicy((builder) => builder.allow('allowKeyrings'));
const full = new PolicyBuilder()
  .defaultAction('allowAllSyscalls')
  .blockSyscallsWithErrno(['socket', 'socketpair'], 'EACCES')
  .addDirectory('/proc')
  .addDirectory('/sys')
  .addDirectoryAt(folder, '/shown')
  .addDirectoryAt(folder, '/work', false)
  .addTmpfs('/scratch', 1 << 20)
  .addFileAt('/etc/hosts', '/hosts')
  .addFileAt('/dev/null', '/null')
  .build();
const noSockets = new PolicyBuilder()
  .defaultAction('allowAllSyscalls')
  .blockSyscallsWithErrno(['socket', 'socketpair'], 'EACCES')
  .build();
const canBeOnlyFence = (await probe()).capabilities.some(
  ({ name, isAvailable, value }) => name === 'landlock' && isAvailable && (value ?? 0) >= 6,
);

const nodeServer = await Executor.nodeForkServer(
  path.join(checkout, 'dist/test/sandboxee-node/fixtures/stand-still.js'),
).startForkServer();
const server = await sandboxee('stand_still', ['fork']).startForkServer();
const behaving = await sandboxee('behave', ['fork']).startForkServer();
test.after(async () => {
  for (const one of [nodeServer, server, behaving]) await one[Symbol.asyncDispose]();
});

const standing: Readonly<Record<Way, () => Executor>> = {
  E: () => sandboxee('first_instruction'),
  M: () => sandboxee('stand_still', ['me-here']).setEnableSandboxBeforeExec(false),
  C: () => new Executor(server),
  N: () => new Executor(nodeServer),
};

async function stand(way: Way, policy: Policy): Promise<Sandbox2> {
  const sandbox = new Sandbox2(standing[way](), policy);
  assert.ok(await sandbox.runAsync(), String(sandbox.isTerminated && (await sandbox.awaitResult())));
  if (way === 'N') await sandbox.comms.sendString('');
  // The host hears of the filter before the kernel is done with the call that the supervisor lets through.
  const waiting = way === 'N' ? ['futex'] : ['pause', 'ppoll'];
  const numbers = waiting.map((name) => String(syscallNumber(name)));
  await eventually(`${way} waits in ${waiting.join(' or ')}`, () =>
    numbers.includes(readFileSync(`/proc/${sandbox.pid}/syscall`, 'utf8').split(' ')[0] ?? ''),
  );
  return sandbox;
}

/** exceptFor: a section that is another under this policy. */
async function check(way: Way, policy: Policy, exceptFor = ''): Promise<void> {
  await using one = await stand(way, policy);
  await using other = await stand(way, policy);
  assert.is(parentOf(one.pid), supervisorPid());
  const others = { host, sibling: await holdingsOf(other.pid), supervisor: supervisorPid() };
  const holdings = (await holdingsOf(one.pid)).filter(({ section }) => section !== exceptFor);
  assert.equal(faultsOf(rows, way, holdings, others, met.get(way) ?? new Set()), []);
}

for (const way of ['E', 'M', 'C', 'N'] as const) {
  test(`${way}: from outside`, async () => {
    for (const policy of [plain, noSockets, full]) await check(way, policy);
  });

  test(`${way}: from outside, with Landlock as the only fence`, async () => {
    if (!canBeOnlyFence) return skip(`${way}, with Landlock as the only fence`, 'it needs ABI 6 of Landlock');
    await check(
      way,
      lenientPolicy((builder) => builder.enableLandlock()),
      'Mounts',
    );
  });
}

/** What a sandboxee of each kind says of itself, as tell_self. */
const telling: Readonly<Record<Way, () => Promise<string>>> = {
  E: () => tell(sandboxee('tell_self')),
  M: () => tell(sandboxee('behave', ['me-here']).setEnableSandboxBeforeExec(false), behave),
  C: () => tell(new Executor(behaving), behave),
  // By an exec, which leaves all of this as it is (execve(2)).
  N: () => tell(new Executor(nodeServer), (sandbox) => sandbox.comms.sendString('/tell_self')),
};
const behave = (sandbox: Sandbox2) => tellBehaviour(sandbox, 'tell_self');

async function tell(
  executor: Executor,
  afterwards: (sandbox: Sandbox2) => Promise<unknown> = async () => undefined,
): Promise<string> {
  const output = readAll(executor.ipc.receiveFd(1));
  const policy = lenientPolicy((builder) =>
    builder.allow('allowKeyrings').addFileAt(sandboxeePath('tell_self'), '/tell_self'),
  );
  await using sandbox = new Sandbox2(executor, policy);
  assert.ok(await sandbox.runAsync());
  await afterwards(sandbox);
  assert.is(String(await sandbox.awaitResult()), 'OK - Exit code: 0');
  return output;
}

for (const way of ['E', 'M', 'C', 'N'] as const) {
  test(`${way}: from inside`, async () => {
    if (way === 'N' && !('execve' in process)) {
      return skip('N: from inside', `Node ${process.version} has no process.execve()`);
    }
    const [told, sibling] = [toldBySelf(await telling[way]()), toldBySelf(await telling[way]())];
    const others = { host: hostItself, sibling, supervisor: supervisorPid() };
    assert.equal(faultsOf(rows, way, told, others, met.get(way) ?? new Set()), []);
  });
}

test('each row is met, by every kind of sandboxee that it names', () => {
  for (const [way, found] of met) {
    const isTold = [...found].some(({ section }) => section.includes('itself'));
    const missed = rows.filter((row) => row.ways.includes(way) && !row.isOptional && !found.has(row));
    const unexplained = missed.filter(({ section }) => isTold || !section.includes('itself'));
    assert.equal(
      unexplained.map(({ section, name, value }) => `${way}, ${section}: ${name}, ${value}`),
      [],
    );
  }
});

test('the tables would notice: something that is not in them, and another value', () => {
  const others = { host, sibling: [], supervisor: 1 };
  const fault = (section: string, name: string, value: string) =>
    faultsOf(rows, 'E', [{ section, name, value }], others, new Set()).join();
  assert.match(fault('File descriptors', '5', 'socket rw'), /there is no row for it/);
  assert.match(fault('File descriptors', '1', 'socket rw'), /it should be/);
  assert.match(fault('Memory', '/lib/x', 'shared for writing'), /it should be/);
  assert.match(fault('Limits', 'Max core file size', '0 0 bytes'), /it should be/);
  assert.match(fault('Credentials and state', 'PPid', '7'), /the supervisor is 1/);
  const user = host.find(({ section, name }) => section === 'Namespaces' && name === 'user')?.value ?? '';
  assert.match(fault('Namespaces', 'user', user), /also the host’s/);
  assert.match(fault('Namespaces', 'new', 'new:[1]'), /there is no row/);
  assert.is(fault('Limits', 'Max core file size', '1 1 bytes'), '');
});

test.run();
