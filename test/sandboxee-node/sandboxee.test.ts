// A Node program as a sandboxee.
import { constants, openSync } from 'node:fs';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, KILL, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { checkout, runToEnd } from '../support/sandbox.js';

const test = suite('a Node sandboxee');
const script = path.join(checkout, 'dist/test/sandboxee-node/fixtures/sandboxee.js');

function executor(): Executor {
  return new Executor(process.execPath, [process.execPath, script]).setEnableSandboxBeforeExec(false);
}

function buildPolicy() {
  return new PolicyBuilder()
    .defaultAction('allowAllSyscalls')
    .addPolicyOnSyscall('setgid', KILL)
    .addLibrariesForBinary(process.execPath)
    .addDirectory(path.join(checkout, 'dist'))
    .addDirectory(path.join(checkout, 'build'))
    .addDirectory(path.join(checkout, 'node_modules'))
    .addFile(path.join(checkout, 'package.json'))
    .build();
}

test('it sandboxes itself, and works on', async () => {
  await using sandbox = new Sandbox2(executor(), buildPolicy());
  assert.ok(await sandbox.runAsync(), 'sandboxed');
  assert.ok(await sandbox.comms.recvBool());
  await sandbox.comms.sendString('work');
  assert.is(await sandbox.comms.recvUint32(), 100_001);
  await sandbox.comms.sendString('async');
  assert.is(await sandbox.comms.recvUint32(), 7);
  await sandbox.comms.sendUint32(8);
  assert.is(await sandbox.comms.recvUint32(), 8);
  await sandbox.comms.sendString('spy');
  assert.match(await sandbox.comms.recvString(), /ENOENT/);
});

test('fds by name', async () => {
  const host = executor();
  host.ipc.mapFd(openSync('/proc/version', constants.O_RDONLY), 'input');
  await using sandbox = new Sandbox2(host, buildPolicy());
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.recvBool();
  await sandbox.comms.sendString('mapped');
  assert.match(await sandbox.comms.recvString(), /^Linux version/);
});

for (const [command, expected] of [
  ['forbidden', /^SYSCALL VIOLATION - Violating Syscall \[.*\] setgid/],
  ['throw', /^OK - Exit code: 1$/],
  ['exit', /^OK - Exit code: 9$/],
] as const) {
  test(`its end by ${command} is the result`, async () => {
    await using sandbox = new Sandbox2(executor(), buildPolicy());
    assert.ok(await sandbox.runAsync());
    await sandbox.comms.recvBool();
    await sandbox.comms.sendString(command);
    assert.match(String(await sandbox.awaitResult({ timeoutMs: 10_000 })), expected);
  });
}

test('started without a handshake it is told why it cannot sandbox itself', async () => {
  const { result } = await runToEnd(
    new Executor(process.execPath, [process.execPath, script]),
    buildPolicy(),
  );
  assert.is(result.exitCode, 1);
});

test.run();
