// One run and how it can end.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { AwaitTimeoutError, Executor, PolicyBuilder, Sandbox2 } from '../../host/index.js';
import { withCrowd } from '../support/crowd.js';
import { whyNo32BitCalls } from '../support/machine.js';
import { eventually, isAlive, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('a run');

test('an executor is checked when it is made', () => {
  assert.throws(() => new Executor(''), /the path is empty/);
  assert.throws(() => new Executor('/bin/true', []), /argv/);
  assert.throws(() => new Executor('/bin/true', ['a\0b']), /NUL/);
  assert.throws(() => new Executor('/bin/true', ['true'], { envs: { 'A=B': 'c' } }), /environment/);
  assert.throws(() => new Executor('/bin/true', ['true'], { cwd: 'relative' }), /absolute/);
  assert.throws(() => new Executor('/bin/true', ['true'], { uid: -1 }), /uid/);
  assert.throws(() => new Executor('/bin/true', ['true'], { env: {} } as never), /no option "env"/);
});

test('limits are checked when they are set', () => {
  const { limits } = sandboxee('exit_with');
  assert.throws(() => limits.setRlimitAs(-1), RangeError);
  assert.throws(() => limits.setRlimitAs(1.5), RangeError);
  assert.throws(() => limits.setWalltimeLimitMs(-5), RangeError);
  assert.throws(() => limits.setWalltimeLimitMs(Number.POSITIVE_INFINITY), RangeError);
  limits.setRlimitAs(1n << 40n).setWalltimeLimitMs(0);
});

test('fd mappings are checked when they are made', () => {
  const { ipc } = sandboxee('exit_with');
  assert.throws(() => ipc.mapFd(-1, 3), /no file descriptor/);
  assert.throws(() => ipc.mapFd(0, 1023), /cannot be mapped/);
  assert.throws(() => ipc.mapFd(0, 1021), /cannot be mapped/);
  assert.throws(() => ipc.mapFd(987, 5), /EBADF/);
  assert.throws(() => ipc.mapDupedFd(0, 'a,b'), /comma/);
  ipc.mapDupedFd(0, 5, 'five');
  assert.throws(() => ipc.mapDupedFd(0, 5), /mapped already/);
  assert.throws(() => ipc.mapDupedFd(0, 6, 'five'), /taken already/);
  ipc.close();
});

test('exit code 0', async () => {
  const { result } = await runToEnd(sandboxee('exit_with', ['0']));
  assert.is(result.finalStatus, 'OK');
  assert.is(result.exitCode, 0);
  assert.ok(result.isOk);
  assert.is(String(result), 'OK - Exit code: 0');
  assert.ok((result.rusage?.maxRssBytes ?? 0) > 0);
});

test('another exit code', async () => {
  const { result } = await runToEnd(sandboxee('exit_with', ['42']));
  assert.is(String(result), 'OK - Exit code: 42');
  assert.not.ok(result.isOk);
});

test('a crash', async () => {
  const { result } = await runToEnd(sandboxee('die_by', ['segfault']));
  assert.is(result.finalStatus, 'SIGNALED');
  assert.is(result.signal, 'SIGSEGV');
  assert.match(String(result), /^Process terminated with a SIGNAL - Signal: SIGSEGV \[11\] Stack: main\+0x/);
});

test('abort()', async () => {
  const { result } = await runToEnd(sandboxee('die_by', ['abort']));
  assert.is(result.signal, 'SIGABRT');
});

test('a result is plain data', async () => {
  const { result } = await runToEnd(sandboxee('exit_with', ['7']));
  const copy = JSON.parse(JSON.stringify(result));
  assert.is(copy.finalStatus, 'OK');
  assert.is(copy.exitCode, 7);
  assert.type(copy.rusage.userTimeMs, 'number');
});

test('a violation names syscall, arguments, process and program', async () => {
  const policy = new PolicyBuilder().allowStaticStartup().allowExit().build();
  const executor = sandboxee('make_syscall', ['257', '-100', '/etc/passwd']);
  const { result } = await runToEnd(executor, policy);
  assert.is(result.finalStatus, 'VIOLATION');
  assert.is(result.reason, 'VIOLATION_SYSCALL');
  assert.is(result.violation?.syscall, process.arch === 'x64' ? 'openat' : result.violation?.syscall);
  assert.match(String(result), /SYSCALL VIOLATION - Violating Syscall/);
  assert.match(String(result), /\/etc\/passwd/);
  assert.match(String(result), /make_syscall/);
  assert.ok((result.violation?.pid ?? 0) > 1);
});

test('a 32-bit syscall is a violation of its own kind', async () => {
  const reason = whyNo32BitCalls();
  if (reason !== undefined) return skip('a 32-bit syscall', reason);
  const { result } = await runToEnd(sandboxee('make_syscall', ['32:20']));
  assert.is(result.finalStatus, 'VIOLATION');
  assert.is(result.reason, 'VIOLATION_ARCH');
  assert.is(result.violation?.arch, 'X86-32');
  assert.is(result.violation?.syscall, 'getpid');
});

test('an x32 syscall too', async () => {
  if (process.arch !== 'x64') return;
  const { result } = await runToEnd(sandboxee('make_syscall', [String(0x40000000 + 39)]));
  assert.is(result.reason, 'VIOLATION_ARCH');
  assert.is(result.violation?.arch, 'X32');
  assert.is(result.violation?.syscall, 'getpid');
});

test('a violation names program and thread apart', async () => {
  const policy = new PolicyBuilder().allowStaticStartup().allowExit().build();
  const executor = sandboxee('make_syscall', ['83', '/tmp/new', '0x1ed']);
  const { result } = await runToEnd(executor, policy);
  assert.match(result.violation?.comm ?? '', /^.+$/); // the program's, or (before Linux 6.14) the number of its fd
  assert.match(result.violation?.program ?? '', /^\/.*\/make_syscall$/);
  if (process.arch === 'x64') assert.match(String(result), /mkdir \[83\]\("\/tmp\/new", 0755\)/);
});

test('wall time', async () => {
  const executor = sandboxee('spin');
  executor.limits.setWalltimeLimitMs(200);
  const started = performance.now();
  const { result } = await runToEnd(executor);
  const elapsed = performance.now() - started;
  assert.match(String(result), /^Process TIMEOUT - Code: 0 Stack: main\+0x/);
  assert.ok(elapsed >= 199, `${elapsed} ms`);
});

test('walltime set while it runs', async () => {
  const sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  assert.ok(await sandbox.runAsync());
  sandbox.setWalltimeLimitMs(50);
  assert.is((await sandbox.awaitResult({ timeoutMs: hangMs })).finalStatus, 'TIMEOUT');
});

test('walltime removed while it runs', async () => {
  // As long as this machine needs to have it taken away in time.
  for (let limitMs = 150; ; limitMs *= 2) {
    const executor = sandboxee('wait_forever');
    executor.limits.setWalltimeLimitMs(limitMs);
    await using sandbox = new Sandbox2(executor, lenientPolicy());
    const began = performance.now();
    await sandbox.runAsync();
    sandbox.setWalltimeLimitMs(0);
    if (performance.now() - began > limitMs / 2) continue;
    let gaveUp: unknown;
    await sandbox.awaitResult({ timeoutMs: 2 * limitMs }).catch((error: unknown) => {
      gaveUp = error;
    });
    assert.instance(gaveUp, AwaitTimeoutError);
    sandbox.kill();
    assert.is((await sandbox.awaitResult()).finalStatus, 'EXTERNAL_KILL');
    return;
  }
});

test('kill, also of a sandboxee that has stopped itself', async () => {
  for (const args of [[], ['stop']]) {
    const sandbox = new Sandbox2(sandboxee('wait_forever', args), lenientPolicy());
    assert.ok(await sandbox.runAsync());
    assert.ok(isAlive(sandbox.pid));
    sandbox.kill();
    const result = await sandbox.awaitResult({ timeoutMs: hangMs });
    assert.is(String(result), 'Process killed by user - Code: 0');
    assert.ok(sandbox.isTerminated);
    sandbox.kill(); // too late is not an error
    await eventually('init is gone', () => !isAlive(sandbox.initPid));
  }
});

test('kill before anything has started', async () => {
  const sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
  const started = sandbox.runAsync();
  sandbox.kill();
  await started;
  assert.is((await sandbox.awaitResult({ timeoutMs: hangMs })).finalStatus, 'EXTERNAL_KILL');
});

test('dispose while it runs', async () => {
  let pid = 0;
  {
    await using sandbox = new Sandbox2(sandboxee('wait_forever'), lenientPolicy());
    assert.ok(await sandbox.runAsync());
    pid = sandbox.pid;
  }
  assert.not.ok(isAlive(pid));
});

test('an executor runs once', async () => {
  const executor = sandboxee('exit_with');
  const sandbox = new Sandbox2(executor, lenientPolicy());
  assert.throws(() => new Sandbox2(executor, lenientPolicy()), /used already/);
  await sandbox.run();
  assert.throws(() => sandbox.runAsync(), /runs once/);
});

test('many at once', () =>
  withCrowd(async () => {
    const runs = Array.from({ length: 40 }, async (_, index) => {
      const { result } = await runToEnd(sandboxee('exit_with', [String(index)]));
      return result.exitCode;
    });
    assert.equal(
      await Promise.all(runs),
      Array.from({ length: 40 }, (_, index) => index),
    );
  }));

test('a daemon it leaves behind dies with it', async () => {
  const { result, output } = await runToEnd(sandboxee('leave_behind'));
  assert.is(result.finalStatus, 'OK');
  assert.is(output, 'daemon\n'); // and the end of the stream was seen: its copy of the fd is closed
});

test.run();
