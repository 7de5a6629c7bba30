// A sandboxee that behaves like sandbox2's own client, to the end of its handshake and beyond.
import { openSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, Sandbox2 } from '../../host/index.js';
import { lenientPolicy, sandboxee, startForkServer, tellBehaviour } from '../support/sandbox.js';
import { hangMs } from '../support/time.js';

const test = suite('sandbox2’s client');

const identity = 'ab'.repeat(32);
const versions = {
  'a version of today': 'V20260702',
  'an identity and a version': `${identity}V20260702`,
  'a later version': 'V20991231',
  'an older version, the legacy form': 'V20250101',
  'an identity alone, the legacy form': identity,
};

function start(...args: string[]): Sandbox2 {
  const executor = sandboxee('sandbox2_client', args).setEnableSandboxBeforeExec(false);
  return new Sandbox2(executor, lenientPolicy());
}

for (const [title, version] of Object.entries(versions)) {
  test(title, async () => {
    await using sandbox = start(version);
    assert.is(await sandbox.runAsync(), true, title);
    assert.is(await sandbox.comms.recvUint32(), 42);
    assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
  });
}

test('with descriptors mapped, in both forms', async () => {
  for (const version of ['V20260702', identity]) {
    const executor = sandboxee('sandbox2_client', [version]).setEnableSandboxBeforeExec(false);
    executor.ipc.mapFd(openSync('/dev/null', 'r'), 77, 'seventy-seven');
    await using sandbox = new Sandbox2(executor, lenientPolicy());
    assert.is(await sandbox.runAsync(), true, version);
    assert.is(await sandbox.comms.recvUint32(), 42);
  }
});

test('its last step made once more kills, by its own filter', async () => {
  await using sandbox = start('V20260702', 'again');
  assert.is(await sandbox.runAsync(), true);
  const result = await sandbox.awaitResult({ timeoutMs: hangMs });
  assert.is(result.finalStatus, 'SIGNALED', String(result));
  assert.is(result.reasonCode, 31); // SIGSYS
});

test('a filter without its mark is refused as ever', async () => {
  await using sandbox = start('V20260702', 'plain');
  assert.is(await sandbox.runAsync(), true);
  assert.is(String(await sandbox.awaitResult({ timeoutMs: hangMs })), 'OK - Exit code: 0');
});

for (const way of ['before exec', 'sandboxMeHere', 'fork server'] as const) {
  test(`nothing else may make that call: ${way}`, async () => {
    const [setFilter, forAllThreads, mark] = [1, 1, 0x921c2c34];
    const call = [process.arch === 'x64' ? 317 : 277, setFilter, forAllThreads, 0, mark].map(String);
    await using server = way === 'fork server' ? await startForkServer() : undefined;
    const executor =
      server !== undefined
        ? new Executor(server)
        : way === 'before exec'
          ? sandboxee('make_syscall', call)
          : sandboxee('behave', ['me-here']).setEnableSandboxBeforeExec(false);
    await using sandbox = new Sandbox2(executor, lenientPolicy());
    await sandbox.runAsync();
    if (way !== 'before exec') await tellBehaviour(sandbox, 'make_syscall', call);
    const result = await sandbox.awaitResult({ timeoutMs: hangMs });
    assert.is(result.finalStatus, 'VIOLATION', String(result));
    assert.is(result.violation?.syscall, 'seccomp');
  });
}

test.run();
