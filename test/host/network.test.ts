// Which sandboxee is in which network: its own, the empty one of all that can make no socket, the shared one, the
// host's.
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type Policy, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { supervisorPid } from '../support/processes.js';
import {
  eventually,
  lenientPolicy,
  runToEnd,
  sandboxee,
  startForkServer,
  tellBehaviour,
} from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('network');
const { EACCES, ECONNREFUSED } = constants.errno;

type Extend = (builder: PolicyBuilder) => PolicyBuilder;

/** A policy for sandboxees that can make no socket. */
const withoutSockets = (extend: Extend = (builder) => builder): Policy =>
  lenientPolicy((builder) =>
    extend(builder.blockSyscallWithErrno('socket', 'EACCES').blockSyscallWithErrno('socketpair', 'EACCES')),
  );
const sharing = (extend: Extend = (builder) => builder): Policy =>
  lenientPolicy((builder) => extend(builder.useForkServerSharedNetNs()));
const networkOf = (pid: number | 'self') => readlinkSync(`/proc/${pid}/ns/net`);

/** Networks that were seen, kept open: the kernel gives the number of one that has ended to the next. */
const seen: number[] = [];

/** The network of a sandboxee under the policy. */
async function networkUnder(policy: Policy, executor = sandboxee('wait_forever')): Promise<string> {
  await using sandbox = new Sandbox2(executor, policy);
  if (!(await sandbox.runAsync())) throw new Error(String(await sandbox.awaitResult()));
  // Until its program has begun it is a copy of the supervisor, which only root may look into.
  let network = '';
  await eventually('its network can be seen', () => {
    try {
      const fd = openSync(`/proc/${sandbox.pid}/ns/net`, 'r');
      seen.push(fd);
      network = readlinkSync(`/proc/self/fd/${fd}`);
    } catch {}
    return network !== '';
  });
  return network;
}

test.after(() => seen.forEach(closeSync));

test('all sandboxees that can make no socket are in one network, and no other sandboxee is in it', async () => {
  const empty = await networkUnder(withoutSockets());
  assert.is(
    await networkUnder(withoutSockets((builder) => builder.setHostname('other').addDirectory('/proc'))),
    empty,
  );
  const own = [await networkUnder(lenientPolicy()), await networkUnder(lenientPolicy())];
  const all = [empty, ...own, await networkUnder(sharing()), networkOf('self')];
  assert.is(new Set(all).size, all.length, all.join());
});

test('a sandboxee that runs before the filter, or sees a /sys, is in a network of its own', async () => {
  const empty = await networkUnder(withoutSockets());
  const meHere = sandboxee('echo', ['me-here']).setEnableSandboxBeforeExec(false);
  assert.is.not(await networkUnder(withoutSockets(), meHere), empty);
  const policy = withoutSockets((builder) => builder.addDirectory('/sys'));
  assert.is.not(await networkUnder(policy), empty);
  const { output } = await runToEnd(sandboxee('reach_out', ['list', '/sys/class/net/lo']), policy);
  assert.is(output, '');
});

test('the empty network stays empty', async () => {
  const policy = withoutSockets();
  for (const socket of [
    ['pair', '/x'],
    ['abstract', 'x'],
    ['listen', 'x'],
  ]) {
    const { result } = await runToEnd(sandboxee('reach_out', socket), policy);
    assert.is(result.exitCode, EACCES, String(result));
  }
  await using sandbox = new Sandbox2(sandboxee('wait_forever'), policy);
  assert.ok(await sandbox.runAsync());
  const shown = (file: string) => readFileSync(`/proc/${sandbox.pid}/net/${file}`, 'utf8').trim().split('\n');
  for (const file of ['unix', 'tcp', 'udp', 'raw']) assert.is(shown(file).length, 1, shown(file).join('\n'));
  assert.match(shown('dev').join('\n'), /\n *lo: +0 +0 [ 0]*$/);
});

test('prewarmed sandboxes, and requests too long for them, are in it too', async () => {
  const empty = await networkUnder(withoutSockets());
  const policy = withoutSockets();
  for (let i = 0; i < 5; i++) assert.is(await networkUnder(policy), empty);
  const long = sandboxee('wait_forever', ['x'.repeat(100_000)]);
  assert.is(
    await networkUnder(
      withoutSockets((builder) => builder.setHostname('long')),
      long,
    ),
    empty,
  );
});

/** Whether one sandboxee can connect to the abstract socket of another. */
async function reaches(listener: Policy, other: Policy): Promise<number | undefined> {
  const name = `sandwire-test-${process.pid}`;
  await using sandbox = new Sandbox2(sandboxee('reach_out', ['listen', name]), listener);
  assert.ok(await sandbox.runAsync());
  assert.ok(await sandbox.comms.recvBool());
  const { result } = await runToEnd(sandboxee('reach_out', ['abstract', name]), other);
  if (result.exitCode === 0) {
    assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
  }
  return result.exitCode;
}

test('sandboxees that share a network reach each other, and no others do', async () => {
  assert.is(
    await reaches(
      sharing(),
      sharing((builder) => builder.setHostname('other')),
    ),
    0,
  );
  assert.is(await reaches(sharing(), lenientPolicy()), ECONNREFUSED);
  assert.is(await reaches(lenientPolicy(), sharing()), ECONNREFUSED);
  assert.is(await reaches(lenientPolicy(), lenientPolicy()), ECONNREFUSED);
});

test('children of a fork server share it as well', async () => {
  await using server = await startForkServer();
  const fork = async (policy: Policy) => {
    const sandbox = new Sandbox2(new Executor(server), policy);
    assert.ok(await sandbox.runAsync(), String(sandbox.isTerminated && (await sandbox.awaitResult())));
    await tellBehaviour(sandbox, 'wait_forever');
    return sandbox;
  };
  await using one = await fork(sharing());
  await using other = await fork(sharing());
  await using own = await fork(lenientPolicy());
  assert.is(networkOf(one.pid), networkOf(other.pid));
  assert.is(networkOf(one.pid), await networkUnder(sharing()));
  assert.is.not(networkOf(own.pid), networkOf(one.pid));
});

test('a /sys and a shared network exclude each other', () => {
  assert.throws(
    () => new PolicyBuilder().useForkServerSharedNetNs().addDirectory('/sys').build(),
    /useForkServerSharedNetNs.*\/sys/,
  );
});

test('the networks of a supervisor end with it, and the next supervisor makes others', async () => {
  const before = await networkUnder(withoutSockets());
  await using lost = new Sandbox2(sandboxee('wait_forever'), withoutSockets());
  assert.ok(await lost.runAsync());
  process.kill(supervisorPid(), 'SIGKILL');
  assert.is((await lost.awaitResult({ timeoutMs: hangMs })).finalStatus, 'INTERNAL_ERROR');
  assert.is.not(await networkUnder(withoutSockets()), before);
});

test.run();
