// Real programs under the narrowest policies for them, and what happens without a preset.
import { closeSync, existsSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type DangerousToken,
  Executor,
  type Policy,
  PolicyBuilder,
  probe,
  type Result,
} from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';

const test = suite('presets');
const { EPERM, EBADF, EFAULT, EINVAL } = constants.errno;

const minimal = () => new PolicyBuilder().allowStaticStartup().allowExit();

async function tryOut(
  what: string,
  extend: (builder: PolicyBuilder) => PolicyBuilder = (builder) => builder,
): Promise<Result> {
  const [name = '', ...more] = what.split(' ');
  return (await runToEnd(sandboxee('try_out', [name, ...more]), extend(minimal()).build())).result;
}

test('an empty static program: allowStaticStartup() and allowExit()', async () => {
  assert.is((await runToEnd(sandboxee('exit_with', ['3']), minimal().build())).result.exitCode, 3);
  const { result } = await runToEnd(sandboxee('exit_with'), new PolicyBuilder().build());
  assert.is(result.finalStatus, 'VIOLATION', 'without them not even that');
});

test('a small dynamic program: allowDynamicStartup() and its libraries', async () => {
  const program = '/usr/bin/true';
  if (!existsSync(program)) return skip('a small dynamic program', `there is no ${program}`);
  const policy = new PolicyBuilder()
    .allowDynamicStartup()
    .allowSystemMalloc()
    .allowExit()
    .addLibrariesForBinary(program)
    .build();
  assert.is(String((await runToEnd(new Executor(program), policy)).result), 'OK - Exit code: 0');
});

test('malloc, in one thread and in several', async () => {
  assert.is(String(await tryOut('malloc', (builder) => builder.allowSystemMalloc())), 'OK - Exit code: 0');
  const threads = await tryOut('malloc threads', (builder) =>
    builder
      .allowSystemMalloc()
      .allowMmapWithoutExec()
      .blockSyscallWithErrno('openat', 'ENOENT') // /proc/sys/vm/overcommit_memory, which it does not need
      .allowFork()
      .allowFutexOp(0)
      .allowFutexOp(9)
      .allowFutexOp(1)
      .allowHandleSignals()
      .allowSyscalls(['set_robust_list', 'rseq', 'madvise', 'mprotect', 'sched_yield']),
  );
  assert.is(String(threads), 'OK - Exit code: 0');
  assert.is(
    (await tryOut('malloc threads', (builder) => builder.allowSystemMalloc().allowHandleSignals()))
      .finalStatus,
    'VIOLATION',
  );
});

test('isatty: allowTCGETS()', async () => {
  assert.is((await tryOut('isatty', (builder) => builder.allowTCGETS())).exitCode, 0);
  assert.is((await tryOut('isatty')).violation?.syscall, 'ioctl');
});

test('timers, and that they start no thread where none is allowed', async () => {
  const timed = (builder: PolicyBuilder) =>
    builder
      .allowPosixTimers()
      .allowMmapWithoutExec()
      .allowHandleSignals()
      .allowSleep()
      .allowSystemMalloc()
      .allowGetPIDs()
      .allowSyscalls(['futex', 'set_robust_list', 'rseq', 'rt_sigtimedwait', 'mprotect', 'madvise']);
  assert.is(String(await tryOut('timers', timed)), 'OK - Exit code: 0');
  assert.is(
    (await tryOut('timers', (builder) => builder.allowHandleSignals())).violation?.syscall,
    'timer_create',
  );
  assert.is((await tryOut('timer-thread', timed)).violation?.syscall, 'clone');
  assert.is(
    String(await tryOut('timer-thread', (builder) => timed(builder).allowFork())),
    'OK - Exit code: 0',
  );
});

test('ptrace and bpf: a violation even where all else is allowed, or an errno where one is named', async () => {
  for (const call of ['ptrace', 'bpf']) {
    const { result } = await runToEnd(sandboxee('try_out', [call]), lenientPolicy());
    assert.is(result.violation?.syscall, call);
    assert.is(
      (await tryOut(call, (builder) => builder.blockSyscallWithErrno(call, 'EPERM'))).exitCode,
      EPERM,
    );
  }
});

test('safe commands of bpf, with an errno for the others or none', async () => {
  const safe = (builder: PolicyBuilder) => builder.allowSafeBpf();
  assert.is((await tryOut('safe-bpf', safe)).exitCode, EBADF, 'the kernel’s own answer');
  assert.is((await tryOut('bpf', safe)).violation?.syscall, 'bpf');
  const both = (builder: PolicyBuilder) => builder.allowSafeBpf().blockSyscallWithErrno('bpf', 'EPERM');
  assert.is((await tryOut('safe-bpf', both)).exitCode, EBADF);
  assert.is((await tryOut('bpf', both)).exitCode, EPERM);
});

test('speculation is switched off, unless that is waived', async () => {
  const controllable = (await probe()).capabilities.some(
    ({ name, isAvailable }) => name === 'speculation' && isAvailable,
  );
  if (!controllable) return skip('speculation', 'this CPU, or the virtual machine, offers no switch');
  const state = async (waived: boolean) => {
    const policy = lenientPolicy((builder) => (waived ? builder.allow('allowSpeculation') : builder));
    return ((await runToEnd(sandboxee('try_out', ['speculation']), policy)).result.exitCode ?? 0) - 50;
  };
  const [PR_SPEC_FORCE_DISABLE, PR_SPEC_ENABLE] = [8, 2];
  assert.ok((await state(false)) & PR_SPEC_FORCE_DISABLE);
  assert.ok((await state(true)) & PR_SPEC_ENABLE);
});

test('a program by its fd, whose path need not exist any more', async () => {
  const fd = openSync(sandboxeePath('exit_with'), 'r');
  try {
    const executor = new Executor(`/proc/self/fd/${fd}`, ['exit_with', '5']);
    assert.is((await runToEnd(executor, minimal().build())).result.exitCode, 5);
  } finally {
    closeSync(fd);
  }
});

test('fds by number and by name, before exec and by the handshake', async () => {
  for (const remote of [812, undefined]) {
    const executor = sandboxee('try_out', ['mapped', 'input']);
    const local = openSync('/dev/null', 'r');
    if (remote === undefined) executor.ipc.mapFd(local, 'input');
    else executor.ipc.mapFd(local, remote, 'input');
    const { result } = await runToEnd(executor);
    assert.is(result.exitCode, remote === undefined ? 3 : remote % 100, String(result));
  }
  const none = await runToEnd(sandboxee('try_out', ['mapped', 'input']));
  assert.is(none.result.exitCode, 100, 'there is none of that name');
});

test('a violation is reported whatever filter the sandboxee tries to install before it', async () => {
  const attempt = async (...tokens: DangerousToken[]) => {
    const policy = lenientPolicy((builder) => builder.allow(...tokens).syscall('getpriority', 'kill'));
    return (await runToEnd(sandboxee('try_out', ['own-filter']), policy)).result;
  };
  const result = await attempt();
  assert.is(result.finalStatus, 'VIOLATION', String(result));
  assert.match(String(result), /getpriority/);
  assert.is((await attempt('allowSeccompFilters')).exitCode, 42, 'the token lets it hide one');
  const without = await runToEnd(sandboxee('try_out', ['own-filter']));
  assert.is(without.result.exitCode, EINVAL, 'what a kernel without filters says');
});

test('of filters by prctl, of the strict mode and of a second listener, whether filters are allowed or not', async () => {
  const call = async (policy: Policy, name: string, ...args: number[]) =>
    (await runToEnd(sandboxee('make_syscall', [String(syscallNumber(name)), ...args.map(String)]), policy))
      .result;
  const open = lenientPolicy((builder) => builder.allow('allowSeccompFilters'));
  for (const policy of [lenientPolicy(), open]) {
    // A filter at address 0.
    const refused = policy === open ? EFAULT : EINVAL;
    assert.is((await call(policy, 'prctl', 22, 2, 0)).exitCode, refused);
    assert.is((await call(policy, 'seccomp', 1, 0, 0)).exitCode, refused);
    // The kernel's own answer if there is a filter already.
    assert.is((await call(policy, 'prctl', 22, 1)).exitCode, EINVAL);
    assert.is((await call(policy, 'seccomp', 0, 0, 0)).exitCode, EINVAL);
    assert.is((await call(policy, 'seccomp', 1, 8, 0)).violation?.syscall, 'seccomp');
  }
});

test.run();
