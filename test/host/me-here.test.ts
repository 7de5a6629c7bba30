// Programs that sandbox themselves, and programs that should and do something else.
import { readdirSync, readlinkSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Executor, Sandbox2 } from '../../host/index.js';
import { eventually, isAlive, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';

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
  assert.is(String(await sandbox.awaitResult({ timeoutMs: 5000 })), 'OK - Exit code: 0');
});

test('a sandboxee sandboxed before exec talks on the same fd', async () => {
  const sandbox = new Sandbox2(sandboxee('echo'), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendString('a\0é');
  assert.is(await sandbox.comms.recvString(), 'a\0é');
  sandbox.comms.close();
  assert.is(String(await sandbox.awaitResult({ timeoutMs: 5000 })), 'OK - Exit code: 0');
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

async function outcomeOf(how: string, walltimeMs = 10_000): Promise<string> {
  const executor = meHere(sandboxee('misbehave', [how]));
  executor.limits.setWalltimeLimitMs(walltimeMs);
  const before = readdirSync('/proc/self/fd').length;
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.not(await sandbox.runAsync(), `${how}: not sandboxed`);
  const result = await sandbox.awaitResult({ timeoutMs: 5000 });
  await sandbox[Symbol.asyncDispose]();
  assert.ok(readdirSync('/proc/self/fd').length <= before, 'no fd is left open');
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
