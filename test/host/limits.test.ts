// A sandboxee runs into each limit.
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';

const test = suite('limits');
const { ENOMEM, EMFILE } = constants.errno;

test('address space', async () => {
  const executor = sandboxee('exhaust', ['memory']);
  executor.limits.setRlimitAs(64 << 20);
  assert.is((await runToEnd(executor)).result.exitCode, ENOMEM);
});

test('stack', async () => {
  const executor = sandboxee('exhaust', ['stack']);
  executor.limits.setRlimitStack(1 << 20);
  assert.is((await runToEnd(executor)).result.signal, 'SIGSEGV');
});

test('file size', async () => {
  const executor = sandboxee('exhaust', ['file']);
  executor.limits.setRlimitFsize(1 << 20);
  const policy = lenientPolicy((builder) => builder.addTmpfs('/tmp', 8 << 20));
  const { result } = await runToEnd(executor, policy);
  assert.is(result.signal, 'SIGXFSZ');
  assert.match(String(result), /limit of 1048576 bytes for a file was reached/);
});

test('size of a tmpfs', async () => {
  const policy = lenientPolicy((builder) => builder.addTmpfs('/tmp', 1 << 20));
  assert.is((await runToEnd(sandboxee('exhaust', ['file']), policy)).result.exitCode, constants.errno.ENOSPC);
});

test('open files', async () => {
  const executor = sandboxee('exhaust', ['files']);
  executor.limits.setRlimitNofile(20);
  assert.is((await runToEnd(executor)).result.exitCode, EMFILE);
});

test('cpu', async () => {
  const executor = sandboxee('spin');
  executor.limits.setRlimitCpu(1);
  const { result } = await runToEnd(executor);
  assert.is(result.signal, 'SIGKILL');
  assert.match(String(result), /limit of 1 s of CPU time was reached/);
  assert.ok((result.rusage?.userTimeMs ?? 0) + (result.rusage?.systemTimeMs ?? 0) > 900);
});

test('a fork bomb ends with the sandbox', async () => {
  const executor = sandboxee('exhaust', ['processes']);
  executor.limits.setRlimitNproc(50).setWalltimeLimitMs(5000);
  const { result } = await runToEnd(executor);
  assert.is(result.exitCode, constants.errno.EAGAIN);
});

test('a limit above what the host has is cut down, not refused', async () => {
  const executor = sandboxee('exit_with', ['0']);
  executor.limits.setRlimitNofile(1n << 40n).setRlimitMemlock(1n << 60n);
  assert.is((await runToEnd(executor)).result.exitCode, 0);
});

test.run();
