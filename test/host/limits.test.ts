// A sandboxee reaches each limit.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Sandbox2 } from '../../host/index.js';
import { lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

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
  const { result } = await runToEnd(executor);
  assert.is(result.signal, 'SIGSEGV');
  assert.match(String(result), /reached the limit of 1048576 bytes of stack/);
});

test('file size', async () => {
  const executor = sandboxee('exhaust', ['file']);
  executor.limits.setRlimitFsize(1 << 20);
  const policy = lenientPolicy((builder) => builder.addTmpfs('/tmp', 8 << 20));
  const { result } = await runToEnd(executor, policy);
  assert.is(result.signal, 'SIGXFSZ');
  assert.match(String(result), /it may have written a file beyond the limit of 1048576 bytes, or was/);
});

test('a signal that a program sends itself is not reported as a reached limit', async () => {
  for (const signal of ['SIGXFSZ', 'SIGXCPU', 'SIGKILL'] as const) {
    const executor = sandboxee('die_by', [String(constants.signals[signal])]);
    executor.limits.setRlimitCpu(1);
    const { result } = await runToEnd(executor);
    assert.is(result.signal, signal);
    assert.not.match(String(result), /was reached/);
  }
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
  assert.match(String(result), /it may have reached the limit of 1 s of CPU time, or was/);
  assert.ok((result.rusage?.userTimeMs ?? 0) + (result.rusage?.systemTimeMs ?? 0) > 500);
});

test('a fork bomb ends with the sandbox', async () => {
  const executor = sandboxee('exhaust', ['processes']);
  executor.limits.setRlimitNproc(50).setWalltimeLimitMs(hangMs);
  const { result } = await runToEnd(executor);
  assert.is(result.exitCode, constants.errno.EAGAIN);
});

test('core: not passed to a program of the host either', async () => {
  const maximum = readFileSync('/proc/self/limits', 'utf8').match(/^Max core file size +\S+ +(\S+)/m)?.[1];
  if (maximum === '0') return skip('core_pattern with "|"', 'the host itself has a hard limit of 0');
  await using sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  // core(5) and coredump.c of the kernel: with a limit of 0 such a program is started anyway, with 1 it is not.
  assert.match(readFileSync(`/proc/${sandbox.pid}/limits`, 'utf8'), /^Max core file size +1 +1 /m);
});

test('core: none is written unless allowed, and its size is limited', async () => {
  // Where core files go to a program (core_pattern with "|"), only that program sees them.
  if (!/^[^|/]*$/.test(readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim())) {
    return skip('core', 'core_pattern of this machine writes no file into the working directory');
  }
  const policy = lenientPolicy((builder) => builder.addTmpfs('/tmp', 64 << 20));
  const coreOf = async (limit?: number) => {
    const executor = sandboxee('exhaust', ['core']).setCwd('/tmp');
    if (limit !== undefined) executor.limits.setRlimitCore(limit);
    const { result, output } = await runToEnd(executor, policy);
    assert.is(result.exitCode, 0, String(result));
    return Number(output);
  };
  assert.is(await coreOf(), 0);
  const limited = await coreOf(8192);
  assert.ok(limited <= 8192, `${limited}`);
  const whole = await coreOf(32 << 20);
  if (whole === 0) return skip('core of a size', 'this kernel writes no core file in a sandbox');
  assert.ok(whole > 8192, `${whole}`);
});

test('data segment', async () => {
  const executor = sandboxee('exhaust', ['data']);
  executor.limits.setRlimitData(16 << 20);
  assert.is((await runToEnd(executor)).result.exitCode, ENOMEM);
});

test('locked memory', async () => {
  const executor = sandboxee('exhaust', ['locked']);
  executor.limits.setRlimitMemlock(1 << 20);
  assert.is((await runToEnd(executor)).result.exitCode, ENOMEM);
  const none = sandboxee('exhaust', ['locked']);
  none.limits.setRlimitMemlock(0);
  assert.is((await runToEnd(none)).result.exitCode, constants.errno.EPERM);
});

test('walltime: from the start, and changed while it runs', async () => {
  const started = performance.now();
  const executor = sandboxee('wait_forever');
  executor.limits.setWalltimeLimitMs(200);
  const { result } = await runToEnd(executor);
  assert.match(String(result), /^Process TIMEOUT - Code: 0(?: Stack: |$)/);
  assert.ok(performance.now() - started >= 200);

  const shortened = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  await shortened.runAsync();
  shortened.setWalltimeLimitMs(50);
  assert.is((await shortened.awaitResult({ timeoutMs: hangMs })).finalStatus, 'TIMEOUT');
});

test('a sandboxee cannot raise a limit, nor a child of it', async () => {
  const executor = sandboxee('exhaust', ['raise']);
  executor.limits.setRlimitNofile(50).setRlimitStack(4 << 20);
  assert.is((await runToEnd(executor)).result.exitCode, constants.errno.EPERM);
});

test('address space: nothing happens within it, and a stack beyond it is a crash that names it', async () => {
  const limited = async (what: string, megabytes: number) => {
    const executor = sandboxee('exhaust', [what, String(megabytes)]);
    executor.limits.setRlimitAs(100 << 20);
    return (await runToEnd(executor)).result;
  };
  assert.is((await limited('map', 1)).exitCode, 0);
  assert.is((await limited('map', 60)).exitCode, 0);
  assert.is((await limited('map', 100)).exitCode, ENOMEM);
  assert.is((await limited('frames', 1)).exitCode, 0);
  assert.is((await limited('frames', 8)).signal, 'SIGSEGV');
  assert.is((await limited('frames', 100)).signal, 'SIGSEGV');
  const executor = sandboxee('exhaust', ['stack']);
  executor.limits.setRlimitAs(4 << 20).setRlimitStack(1n << 30n);
  const { result } = await runToEnd(executor);
  assert.is(result.signal, 'SIGSEGV');
  assert.match(String(result), /1073741824 bytes of stack or 4194304 bytes of address space/);
});

test('a limit above the host’s is reduced, not refused', async () => {
  const executor = sandboxee('exit_with', ['0']);
  executor.limits.setRlimitNofile(1n << 40n).setRlimitMemlock(1n << 60n);
  assert.is((await runToEnd(executor)).result.exitCode, 0);
});

test.run();
