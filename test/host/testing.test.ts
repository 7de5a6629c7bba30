// sandwire/testing: tests of a sandbox fail with messages that help.
import { AssertionError } from 'node:assert';
import { existsSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type Policy, PolicyBuilder, Result, Sandbox2, type Violation } from '../../host/index.js';
import { suggestionFor } from '../../host/suggestion.js';
import { expectNoViolations, expectOk } from '../../host/testing.js';
import { lenientPolicy, sandboxee, sandboxeePath } from '../support/sandbox.js';

const test = suite('sandwire/testing');
const nativeArch = process.arch === 'arm64' ? 'AARCH64' : 'X86-64';
const run = (executor: Executor, policy: Policy = lenientPolicy()) => new Sandbox2(executor, policy).run();

async function failure(promise: Promise<unknown>): Promise<AssertionError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, AssertionError);
    return error as AssertionError;
  }
  throw new Error('it did not fail');
}

test('a good run comes back, as a promise, a function, a result, or captured', async () => {
  const program = () => sandboxee('exit_with', ['0']);
  assert.ok((await expectNoViolations(run(program()))).isOk);
  assert.ok((await expectOk(() => run(program()))).isOk);
  const result = await run(program());
  assert.is(await expectOk(result), result);
  const captured = await expectOk(new Sandbox2(program(), lenientPolicy()).run({ capture: {} }));
  assert.is(captured.stdout.length, 0);
});

test('a violation, as text, with the line that would allow it', async () => {
  const policy = new PolicyBuilder().allowStaticStartup().addLibrariesForBinary(sandboxeePath('exit_with'));
  const error = await failure(expectNoViolations(run(sandboxee('exit_with', ['0']), policy.build())));
  assert.match(error.message, /made a syscall that its policy does not allow:\n {2}\[.*\] \w+ \[\d+\]\(/);
  assert.match(error.message, /The line that would allow it: \.allow\w+\(/);
  assert.match(String(error.actual), /^SYSCALL VIOLATION/);
});

test('following the advice leads to a policy that works', async () => {
  const path = '/usr/bin/wc';
  if (!existsSync(path)) return;
  const builder = new PolicyBuilder().addLibrariesForBinary(path).addFile('/etc/hosts');
  const taken: string[] = [];
  for (;;) {
    try {
      await expectOk(run(new Executor(path, ['wc', '/etc/hosts']), builder.build()));
      break;
    } catch (error) {
      const line = /would allow it: \.(\w+)\((?:'(\w+)')?\)/.exec(String(error));
      assert.ok(line, String(error));
      const [, method = '', syscall] = line;
      assert.not.ok(taken.includes(line[0]), `${line[0]} a second time`);
      taken.push(line[0]);
      Reflect.apply(Reflect.get(builder, method), builder, syscall === undefined ? [] : [syscall]);
    }
  }
  assert.ok(taken.length > 2, taken.join('\n'));
});

test('a sandbox that failed has tested nothing', async () => {
  const error = await failure(expectNoViolations(run(new Executor('/no/such/program'))));
  assert.match(error.message, /^Nothing was tested.*\n.*ENOENT/);
});

test('crashes and exit codes are expectOk’s business', async () => {
  const program = () => sandboxee('exit_with', ['3']);
  assert.is((await expectNoViolations(run(program()))).exitCode, 3);
  assert.match(
    (await failure(expectOk(run(program())))).message,
    /The sandboxee failed:\n {2}OK - Exit code: 3\nIts standard error was not captured: run\(\{ capture: \{\} \}\)$/,
  );
});

test('a value that is not a run', async () => {
  const rejection = async (run: unknown) => {
    try {
      await expectOk(run as Promise<Result>);
    } catch (error) {
      return String(error);
    }
    throw new Error('it did not fail');
  };
  const sandbox = new Sandbox2(sandboxee('exit_with'), lenientPolicy());
  assert.match(await rejection(sandbox), /^TypeError: a Result is needed, .*: pass sandbox\.run\(\)/);
  assert.match(
    await rejection(sandbox.runAsync()),
    /^TypeError: .*runAsync\(\) resolves with none, awaitResult\(\) does/,
  );
  assert.match(await rejection(undefined), /^TypeError/);
  await sandbox.awaitResult();
});

test('the program’s error messages are shown', async () => {
  const captured = {
    result: new Result({ finalStatus: 'OK', reasonCode: 1 }),
    stdout: Buffer.alloc(0),
    stderr: Buffer.from('it hurts\n'),
    truncated: false,
  };
  assert.match((await failure(expectOk(captured))).message, /Its standard error: it hurts$/);
});

const violation = (syscall: string, number: number, args: bigint[] = [], arch = nativeArch): Violation => ({
  syscall,
  number,
  args: [0, 1, 2, 3, 4, 5].map((index) => ({
    value: `0x${(args[index] ?? 0n).toString(16)}`,
    text: syscall === 'socket' && index === 0 ? 'AF_UNIX' : '',
  })),
  arch,
  instructionPointer: '0x0',
  pid: 1,
  tid: 1,
  cause: 'policy',
  comm: 'x',
  program: '/x',
  description: '',
});

const reading = (syscall: string, number: number, path: string): Violation => {
  const call = violation(syscall, number);
  return { ...call, args: call.args.map((argument) => ({ ...argument, text: path })) };
};

if (process.arch === 'x64') {
  for (const [call, line] of [
    [violation('exit_group', 231), /allow it: \.allowExit\(\)/],
    [violation('ioctl', 16, [1n, 0x5401n]), /allow it: \.allowTCGETS\(\)/],
    [
      violation('ioctl', 16, [1n, 0x9999n]),
      /allow it: \.syscall\('ioctl', \(arg\) => arg\(1\)\.eq\(0x9999\)\)$/m,
    ],
    [
      violation('socket', 41, [1n]),
      /^Sockets give access.* fail.*: \.blockSyscallWithErrno\('socket', 'EPERM'\)\n.*allow it: \.syscall\('socket', \(arg\) => arg\(0\)\.eq\(0x1\)\) \/\/ AF_UNIX$/,
    ],
    [violation('execve', 59), /^It starts another program/],
    [violation('read', 0, [0n]), /allow it: \.allowRead\(\)/],
    [violation('sendto', 44, [1023n]), /allow it: \.allowComms\(\)/],
    [violation('close', 3, [3n]), /allow it: \.allowSyscall\('close'\)$/],
    [violation('getpid', 39), /allow it: \.allowGetPIDs\(\)$/],
    [violation('munmap', 11), /allow it: \.allowSystemMalloc\(\)$/],
    [violation('fcntl', 72, [3n, 1n]), /allow it: \.allowSafeFcntl\(\)$/m],
    [violation('futex', 202, [0n, 128n]), /allow it: \.allowFutexOp\(0\)$/m],
    [violation('mmap', 9, [0n, 4096n, 3n, 0x22n]), /allow it: \.allowSystemMalloc\(\)$/m],
    // The stack of a thread, before it has its guard page.
    [violation('mmap', 9, [0n, 4096n, 0n, 0x20022n]), /allow it: \.allowMmapWithoutExec\(\)$/m],
    [
      violation('mprotect', 10, [0n, 4096n, 7n]),
      /^It makes memory executable.*\n.*: \.allowMprotect\('allowMapExec'\)$/,
    ],
    [
      violation('mmap', 9, [0n, 4096n, 5n, 0x22n]),
      /^It makes memory executable.*\n.*: \.allowMmap\('allowMapExec'\)$/,
    ],
    [violation('brk', 12), /allow it: \.allowStaticStartup\(\)$/],
    [{ ...violation('brk', 12), program: '/bin/sh' }, /allow it: \.allowDynamicStartup\(\)$/],
    [violation('brk', 12, [4096n]), /allow it: \.allowSystemMalloc\(\)$/],
    [{ ...violation('set_tid_address', 218), program: '/bin/sh' }, /allow it: \.allowDynamicStartup\(\)$/],
    [reading('access', 21, '"/etc/ld.so.preload"'), /allow it: \.allowDynamicStartup\(\)$/],
    [reading('openat', 257, '"/etc/hosts"'), /allow it: \.allowOpen\(\)$/m],
    [{ ...violation('brk', 12), program: process.execPath }, /allow it: \.allowNode\(\)$/],
    [{ ...violation('socket', 41, [1n]), program: process.execPath }, /^Sockets give access/],
    [violation('fadvise64', 221), /allow it: \.allowSyscall\('fadvise64'\)/],
    [violation('UNKNOWN[999/0x3e7]', 999), /allow it: \.allowSyscall\(999\)/],
    [violation('exit', 1, [], 'X86-32'), /another architecture/],
  ] as const) {
    test(`advice for ${call.syscall}(${call.args.map(({ value }) => value).join(', ')}) of ${call.program}`, () => {
      assert.match(suggestionFor(call), line);
    });
  }
}

if (process.arch === 'x64') {
  test('the narrow line allows what was tried, and no more', () => {
    const call = violation('ioctl', 16, [1n, 0x5421n]);
    const [, index, value] = /arg\((\d)\)\.eq\((0x\w+)\)/.exec(suggestionFor(call)) ?? [];
    const policy = new PolicyBuilder()
      .syscall('ioctl', (arg) => arg(Number(index)).eq(BigInt(value ?? '')))
      .build();
    const decide = (request: bigint) => policy.evaluate({ syscall: 'ioctl', args: [1n, request] }).action;
    assert.is(decide(0x5421n), 'allow');
    assert.is(decide(0x5412n), 'violation');
  });
}

test.run();
