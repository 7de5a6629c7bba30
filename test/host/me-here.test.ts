// Programs that sandbox themselves, and programs that should and do something else.
import { readdirSync, readlinkSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Executor, Sandbox2 } from '../../host/index.js';
import { countFds } from '../support/fds.js';
import {
  eventually,
  isAlive,
  lenientPolicy,
  runToEnd,
  sandboxee,
  tellBehaviour,
} from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('sandboxMeHere');

function meHere(executor: Executor): Executor {
  return executor.setEnableSandboxBeforeExec(false);
}

test('a sandboxee sandboxes itself and talks', async () => {
  const sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendUint32(0xdeadbeef);
  assert.is(await sandbox.comms.recvUint32(), 0xdeadbeef);
  sandbox.comms.close();
  assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
});

test('a sandboxee sandboxed before exec talks on the same fd', async () => {
  const sandbox = new Sandbox2(sandboxee('echo'), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendString('a\0é');
  assert.is(await sandbox.comms.recvString(), 'a\0é');
  sandbox.comms.close();
  assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
});

test('a sandboxee does not keep its own seccomp listener', async () => {
  await using sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendUint32(1);
  await sandbox.comms.recvUint32(); // it runs on
  const open = readdirSync(`/proc/${sandbox.pid}/fd`).map((fd) =>
    readlinkSync(`/proc/${sandbox.pid}/fd/${fd}`),
  );
  assert.not.ok(
    open.some((target) => target.includes('seccomp')),
    open.join(' '),
  );
});

test('a limit of core files that is lowered before the policy stays as it was', async () => {
  const executor = meHere(sandboxee('behave', ['me-here', 'lowers']));
  await using sandbox = new Sandbox2(executor, lenientPolicy());
  assert.ok(await sandbox.runAsync());
  await tellBehaviour(sandbox, 'core_limit');
  assert.is((await sandbox.awaitResult()).exitCode, 0);
});

test('no ring of io_uring is made before the policy, by whose memory it could be used under it', async () => {
  for (const how of ['ring', 'ring-fd', 'ring-alone']) {
    const { result } = await runToEnd(meHere(sandboxee('behave', ['me-here', how])));
    assert.match(String(result), /the program ended \(exit code 138\) before/, `${how}: 100 and ENOSYS`);
  }
  const policy = lenientPolicy((builder) => builder.allow('allowIoUring'));
  await using sandbox = new Sandbox2(meHere(sandboxee('behave', ['me-here', 'ring'])), policy);
  if (!(await sandbox.runAsync())) {
    const result = String(await sandbox.awaitResult());
    assert.match(result, /the program ended \(exit code 1\d\d\) before/);
    return skip('a ring that the policy allows', `there is none here: ${result}`);
  }
  await tellBehaviour(sandbox, 'exit_with', ['3']);
  assert.is((await sandbox.awaitResult()).exitCode, 3);
});

/** How it ends, or "hangs"; the sandboxee is gone then. */
async function within<T>(sandbox: Sandbox2, what: Promise<T>): Promise<T | 'hangs'> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<'hangs'>((resolve) => {
    timer = setTimeout(resolve, hangMs, 'hangs');
  });
  const met = await Promise.race([what, hangs]);
  clearTimeout(timer);
  if (met === 'hangs') sandbox.kill();
  return met;
}

test('calls on comms before the handshake is over wait for it', async () => {
  await using sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  const { comms } = sandbox;
  // In this order, before and after the start.
  const first = comms.recvUint32();
  const sent = comms.sendUint32(1);
  const started = sandbox.runAsync();
  const sentToo = comms.sendString('two');
  const second = comms.recvString();
  const third = comms.exchange(5, new Uint8Array([3]));
  assert.is(await within(sandbox, started), true);
  await Promise.all([sent, sentToo]);
  assert.equal([await first, await second], [1, 'two']);
  assert.equal([...(await third).payload], [3]);
  comms.close();
  assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
});

test('a loop over the messages can be started before the sandboxee', async () => {
  await using sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  const tags: number[] = [];
  const loop = (async () => {
    for await (const message of sandbox.comms) if (tags.push(message.tag) === 2) break;
  })();
  assert.is(await within(sandbox, sandbox.runAsync()), true);
  await Promise.all([
    sandbox.comms.sendTlv(7, new Uint8Array(100_000)),
    sandbox.comms.sendTlv(8, new Uint8Array()),
  ]);
  await within(sandbox, loop);
  assert.equal(tags, [7, 8]);
});

test('a receive ahead of the handshake can be given up, and takes nothing of it', async () => {
  await using sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  const moment = new AbortController();
  const aborted = sandbox.comms.recvUint32({ signal: moment.signal }).catch(String);
  assert.match(String(await sandbox.comms.recvUint32({ timeoutMs: 1 }).catch(String)), /TIMEOUT/);
  const started = sandbox.runAsync();
  moment.abort();
  assert.match(String(await aborted), /ABORTED/);
  assert.is(await within(sandbox, started), true);
  await sandbox.comms.sendUint32(6);
  assert.is(await sandbox.comms.recvUint32(), 6);
});

test('a call that would wait where it stands for the handshake is refused, and harms nothing', async () => {
  await using sandbox = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  const { comms } = sandbox;
  for (const refused of [
    () => comms.recvUint32Sync(),
    () => comms.recvUint32Sync({ timeoutMs: 1 }),
    () => comms.sendUint32Sync(1),
    () => comms.sendBytesSync(new Uint8Array(1 << 20)),
    () => comms.exchangeSync(5, new Uint8Array()),
  ]) {
    assert.throws(refused, /sandboxMeHere\(\) yet; await runAsync\(\) first \(BUSY\)/);
  }
  const started = sandbox.runAsync();
  assert.throws(() => comms.sendUint32Sync(1), /BUSY/);
  assert.is(await within(sandbox, started), true);
  comms.sendUint32Sync(4);
  assert.is(comms.recvUint32Sync(), 4);
});

test('run() with calls that wait for the handshake; they fail with the run, whose result is true', async () => {
  const good = new Sandbox2(meHere(sandboxee('echo', ['me-here'])), lenientPolicy());
  const run = good.run();
  await good.comms.sendUint32(1);
  assert.is(await good.comms.recvUint32(), 1);
  good.comms.close();
  assert.is(String(await within(good, run)), 'OK - Exit code: 0');
  for (const [executor, result] of [[sandboxee('exit_with', ['3']), /sandboxMeHere/]] as const) {
    const sandbox = new Sandbox2(meHere(executor), lenientPolicy());
    const calls = [
      sandbox.comms.recvUint32(),
      sandbox.comms.sendBytes(new Uint8Array(10 << 20)),
      sandbox.comms.flush(),
    ].map((call) => call.then(() => 'done', String));
    assert.match(String(await within(sandbox, sandbox.run())), result);
    for (const call of calls) assert.match(String(await within(sandbox, call)), /CLOSED/);
    await sandbox[Symbol.asyncDispose]();
  }
});

test('what was sent to a program cannot come before a handshake', async () => {
  const executor = sandboxee('echo', ['me-here']);
  await executor.ipc.comms.sendUint32(1);
  assert.throws(() => executor.setEnableSandboxBeforeExec(false), /something was sent already/);
  executor.ipc.close();
});

async function outcomeOf(how: string, walltimeMs = hangMs): Promise<string> {
  const executor = meHere(sandboxee('misbehave', [how]));
  executor.limits.setWalltimeLimitMs(walltimeMs);
  const before = countFds();
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.not(await sandbox.runAsync(), `${how}: not sandboxed`);
  const result = await sandbox.awaitResult({ timeoutMs: hangMs });
  await sandbox[Symbol.asyncDispose]();
  await eventually('no fd is left open', () => countFds() <= before);
  if (sandbox.pid > 0) await eventually('the sandboxee is gone', () => !isAlive(sandbox.pid));
  return String(result);
}

test('warm up the supervisor, so that its fds are not counted below', async () => {
  assert.is((await runToEnd(sandboxee('exit_with'))).result.exitCode, 0);
});

for (const [how, expected] of [
  ['exit', /SETUP_ERROR.*exit code 0\) before it called sandboxMeHere/],
  ['crash', /SETUP_ERROR.*ended by signal \d+ before it called sandboxMeHere/],
  ['garbage', /SETUP_ERROR.*sandboxMeHere handshake failed/],
  ['length-bomb', /SETUP_ERROR.*(TOO_LARGE|longer|bytes)/],
  ['big-version', /SETUP_ERROR.*(TOO_LARGE|longer|bytes)/],
  ['truncated', /SETUP_ERROR/],
  ['unasked-fd', /SETUP_ERROR.*(fd|descriptor)/i],
  ['many-fds', /SETUP_ERROR.*(fd|descriptor)/i],
  ['bad-version', /SETUP_ERROR.*[Vv]ersion/],
  ['close', /SETUP_ERROR/],
] as const) {
  test(`instead of the handshake: ${how}`, async () => {
    assert.match(await outcomeOf(how), expected);
  });
}

test('instead of the handshake: nothing at all', async () => {
  assert.match(await outcomeOf('silent', 200), /^Process TIMEOUT - Code: 0: .*sandboxMeHere/);
});

test.run();
