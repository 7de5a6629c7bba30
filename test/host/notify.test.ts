// Notified calls, and what else a host is told about a run.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Executor,
  NOTIFY,
  type NotifiedSyscall,
  type Notify,
  type Policy,
  PolicyBuilder,
  type Result,
  Sandbox2,
  type SyscallAnswer,
} from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { supervisorPid } from '../support/processes.js';
import { eventually, isAlive, lenientPolicy, sandboxee } from '../support/sandbox.js';

const test = suite('notify');
const personality = String(syscallNumber('personality'));
const chdir = String(syscallNumber('chdir'));

const asking = (...names: string[]) =>
  lenientPolicy((builder) => builder.syscall(names.length === 0 ? ['personality'] : names, 'notify'));

async function runWith(executor: Executor, policy: Policy, notify: Notify): Promise<Result> {
  await using sandbox = new Sandbox2(executor, policy, notify);
  return await sandbox.run();
}

/** The result, and the notified calls. */
async function answered(
  executor: Executor,
  answer: SyscallAnswer | ((call: NotifiedSyscall) => SyscallAnswer | Promise<SyscallAnswer>),
  options: Notify & { readonly policy?: Policy } = {},
): Promise<{ result: Result; calls: NotifiedSyscall[] }> {
  const calls: NotifiedSyscall[] = [];
  const { policy = asking(), ...notify } = options;
  const result = await runWith(executor, policy, {
    ...notify,
    onSyscall: (call) => {
      calls.push(call);
      return typeof answer === 'function' ? answer(call) : answer;
    },
  });
  return { result, calls };
}

const callOnce = (...args: string[]) => sandboxee('make_syscall', args);

test('allow: the kernel does it; the handler sees number and arguments', async () => {
  const { result, calls } = await answered(
    callOnce(personality, '0xffffffff', '2', '3', '4', '5', '6'),
    'allow',
  );
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(calls.length, 1);
  const [call] = calls;
  assert.is(call?.syscall, 'personality');
  assert.is(call?.number, Number(personality));
  assert.equal(call?.args, [0xffffffffn, 2n, 3n, 4n, 5n, 6n]);
  assert.match(call?.program ?? '', /make_syscall$/);
  assert.match(call?.description ?? '', /personality \[\d+\]\(/);
});

test('errno, by name and by number, and a value', async () => {
  const { ENOSYS, EACCES } = constants.errno;
  const by = async (answer: SyscallAnswer) => (await answered(callOnce(personality), answer)).result.exitCode;
  assert.is(await by({ errno: 'ENOSYS' }), ENOSYS);
  assert.is(await by({ errno: EACCES }), EACCES);
  assert.is(await by({ value: 5 }), 0);
  assert.is(await by({ value: -1n * BigInt(EACCES) }), EACCES, 'as the kernel itself returns an errno');
  const threads = await answered(sandboxee('ask', ['threads', '3']), (call) => ({
    value: call.args[0] ?? 0n,
  }));
  assert.is(threads.result.exitCode, 0 + 1 + 2);
});

test('deny is a violation, and so is an invalid answer', async () => {
  const denied = (await answered(callOnce(personality, '7'), 'deny')).result;
  assert.is(denied.finalStatus, 'VIOLATION');
  assert.is(denied.reason, 'VIOLATION_SYSCALL');
  assert.is(denied.violation?.syscall, 'personality');
  assert.is(denied.violation?.args[0]?.value, '0x7');
  assert.is(denied.violation?.cause, 'host');
  assert.match(String(denied), /personality.*: onSyscall denied it(?: Stack: |$)/);
  const wrong = [
    undefined,
    null,
    true,
    'yes',
    {},
    { errno: 0 },
    { errno: 'ENOTHING' },
    { errno: 5000 },
    { value: 1n << 64n },
  ];
  for (const answer of wrong) {
    const { result } = await answered(callOnce(personality), answer as unknown as SyscallAnswer);
    assert.is(result.violation?.cause, 'host', JSON.stringify(String(answer)));
  }
});

test('a handler that throws or rejects denies, and the result says what it threw', async () => {
  const thrown = await answered(callOnce(personality), () => {
    throw new Error('no idea');
  });
  assert.match(String(thrown.result), /VIOLATION.*onSyscall failed: no idea(?: Stack: |$)/);
  const rejected = await answered(callOnce(personality), () => Promise.reject(new Error('later')));
  assert.match(String(rejected.result), /VIOLATION.*onSyscall failed: later(?: Stack: |$)/);
  const hostile = await answered(callOnce(personality), () => {
    throw new Error('\x1b[2J\n\u202eOK');
  });
  assert.ok(
    String(hostile.result).includes('onSyscall failed: \\x1b[2J\\n\\u{202e}OK'),
    String(hostile.result),
  );
});

test('no answer in time is a violation, and the handler’s signal is aborted', async () => {
  const started = performance.now();
  const { result, calls } = await answered(callOnce(personality), () => new Promise(() => {}), {
    syscallTimeoutMs: 100,
  });
  assert.ok(performance.now() - started >= 100);
  assert.is(result.violation?.cause, 'noAnswer');
  assert.match(String(result), /onSyscall gave no answer within 100 ms(?: Stack: |$)/);
  await eventually('the signal is aborted', () => calls[0]?.signal.aborted === true);
});

test('memory of arguments: text, bytes, and neither', async () => {
  const policy = asking('chdir');
  const { calls } = await answered(
    callOnce(chdir, '/tmp/ä b', '12', 'second'),
    { errno: 'ENOENT' },
    { policy },
  );
  assert.is(calls[0]?.text(0), '/tmp/ä b');
  assert.is(Buffer.from(calls[0]?.bytes(0)?.subarray(0, 5) ?? []).toString(), '/tmp/');
  assert.is(calls[0]?.text(1), undefined);
  assert.is(calls[0]?.bytes(1), undefined);
  assert.is(calls[0]?.text(2), 'second');
  const { calls: wild } = await answered(
    callOnce(chdir, '0x7ffffffff000', '-1'),
    { errno: 'ENOENT' },
    { policy },
  );
  assert.is(wild[0]?.bytes(0), undefined);
  assert.is(wild[0]?.bytes(1), undefined);
});

test('a path that is longer than any path is not returned as a part of it', async () => {
  const policy = asking('chdir');
  const { result, calls } = await answered(sandboxee('ask', ['long-path']), 'allow', { policy });
  assert.is(calls[0]?.text(0), undefined);
  assert.is(calls[0]?.bytes(0)?.length, 4096);
  assert.is(result.exitCode, constants.errno.ENAMETOOLONG);
});

test('only the calls of the rule are notified; the rest is decided without the host', async () => {
  const policy = lenientPolicy((builder) =>
    builder
      .syscall('personality', (arg) => arg(0).eq(1), 'notify')
      .syscall('personality', (arg) => arg(0).eq(2), 'kill')
      .syscall('personality', (arg) => arg(0).eq(3), { errno: 'EPERM' }),
  );
  const asked = await answered(callOnce(personality, '1'), { value: 0 }, { policy });
  assert.is(asked.calls.length, 1);
  const killed = await answered(callOnce(personality, '2'), 'allow', { policy });
  assert.is(killed.calls.length, 0);
  assert.is(killed.result.violation?.cause, 'policy');
  const refused = await answered(callOnce(personality, '3'), 'allow', { policy });
  assert.equal([refused.calls.length, refused.result.exitCode], [0, constants.errno.EPERM]);
});

test('the same with BPF of one’s own, and with everything left to the host', async () => {
  const macros = lenientPolicy((builder) => builder.addPolicyOnSyscall('personality', [NOTIFY]));
  assert.is(
    (await answered(callOnce(personality), { errno: 'EDOM' }, { policy: macros })).result.exitCode,
    constants.errno.EDOM,
  );
  const all = new PolicyBuilder().defaultAction('traceAllSyscalls').build();
  const everything = await answered(callOnce(personality), 'allow', { policy: all });
  assert.is(everything.result.exitCode, 0);
  assert.ok(everything.calls.some((call) => call.syscall === 'personality'));
  assert.ok(everything.calls.length > 3, 'the start-up too');
  // The launch call's own execveat is not for the host to allow a second time.
  const again = callOnce(String(syscallNumber('execveat')), '-1', '', '0', '0', '0x1000', String(0x921c2c34));
  assert.is((await answered(again, 'allow', { policy: all })).result.violation?.syscall, 'execveat');
});

test('in a program that sandboxed itself', async () => {
  const calls: string[] = [];
  const policy = lenientPolicy((builder) => builder.syscall('sendto', 'notify').syscall('sendmsg', 'notify'));
  await using sandbox = new Sandbox2(
    sandboxee('echo', ['me-here']).setEnableSandboxBeforeExec(false),
    policy,
    {
      onSyscall: (call) => {
        calls.push(call.syscall);
        return 'allow';
      },
    },
  );
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendUint32(7);
  assert.is(await sandbox.comms.recvUint32(), 7);
  assert.ok(calls.length > 0);
});

test('a slow handler delays its own thread and no other', async () => {
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = answered(callOnce(personality), async () => {
    await held;
    return { value: 0 };
  });
  // Another thread of the same sandboxee, and other sandboxees, go on.
  const threads = await answered(sandboxee('ask', ['threads', '20']), async (call) => {
    if (call.args[0] === 0n) await new Promise((resolve) => setTimeout(resolve, 100));
    return { value: 1 };
  });
  assert.is(threads.result.exitCode, 20);
  for (let i = 0; i < 5; i++) {
    assert.is((await answered(callOnce(personality), { value: 0 })).result.exitCode, 0);
    assert.is(
      (
        await runWith(
          callOnce(personality, '9'),
          lenientPolicy((b) => b.syscall('personality', 'kill')),
          {},
        )
      ).finalStatus,
      'VIOLATION',
    );
  }
  release();
  assert.is((await slow).result.exitCode, 0);
});

test('signals do not notify a call twice', async () => {
  const { result, calls } = await answered(sandboxee('ask', ['signals']), async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { value: 77 };
  });
  assert.is(result.exitCode, 0);
  assert.is(calls.length, 1);
});

test('a call of the sandboxee’s child has the child’s pid', async () => {
  const { result, calls } = await answered(sandboxee('ask', ['child']), { value: 42 });
  assert.is(result.exitCode, 42);
  assert.is.not(calls[0]?.pid, -1);
});

/** Ends by itself at the end of its standard input, while one of its threads asks. */
const leaving = () => sandboxee('ask', ['leave'], { stdio: { stdin: 'pipe' } });

test('the run ends while an answer is due: kill, walltime, the program’s own end, dispose', async () => {
  const never = () => new Promise<SyscallAnswer>(() => {});
  const late = async (executor: Executor, then: (sandbox: Sandbox2) => void): Promise<Result> => {
    let call: NotifiedSyscall | undefined;
    const sandbox = new Sandbox2(executor, asking(), {
      onSyscall: (asked) => {
        call = asked;
        then(sandbox);
        return never();
      },
    });
    const result = await sandbox.run();
    assert.ok(call?.signal.aborted);
    await sandbox[Symbol.asyncDispose]();
    await eventually('it is gone', () => !isAlive(sandbox.pid));
    return result;
  };
  assert.is((await late(callOnce(personality), (sandbox) => sandbox.kill())).finalStatus, 'EXTERNAL_KILL');
  assert.is(
    (await late(callOnce(personality), (sandbox) => sandbox.setWalltimeLimitMs(20))).finalStatus,
    'TIMEOUT',
  );
  assert.is(
    (await late(callOnce(personality), (sandbox) => void sandbox[Symbol.asyncDispose]())).finalStatus,
    'EXTERNAL_KILL',
  );
  assert.is((await late(leaving(), (sandbox) => void sandbox.stdin?.end())).exitCode, 3);
});

test('an answer that comes too late is ignored', async () => {
  let answer: (value: SyscallAnswer) => void = () => {};
  const sandbox: Sandbox2 = new Sandbox2(leaving(), asking(), {
    onSyscall: () => {
      sandbox.stdin?.end();
      return new Promise<SyscallAnswer>((resolve) => {
        answer = resolve;
      });
    },
  });
  assert.is((await sandbox.run()).exitCode, 3);
  answer('deny');
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is((await answered(callOnce(personality), { value: 0 })).result.exitCode, 0);
});

test('a host that is busy, and a flood of notified calls: the supervisor does not grow with them', async () => {
  await using sandbox = new Sandbox2(sandboxee('ask', ['flood']), asking(), {
    onSyscall: () => new Promise<SyscallAnswer>(() => {}),
  });
  assert.ok(await sandbox.runAsync());
  const residentKiB = () =>
    Number(readFileSync(`/proc/${supervisorPid()}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)?.[1]);
  const before = residentKiB();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000); // the event loop stands still
  const grown = residentKiB() - before;
  assert.ok(grown < 4096, `${grown} KiB`);
  assert.is((await answered(callOnce(personality), { value: 0 })).result.exitCode, 0);
  sandbox.kill();
  await sandbox.awaitResult();
});

test('more threads than may wait at once', async () => {
  const executor = sandboxee('ask', ['threads', '1100']);
  const { result, calls } = await answered(executor, () => new Promise<SyscallAnswer>(() => {}));
  assert.is(result.violation?.cause, 'tooManyQuestions', String(result));
  assert.ok(calls.length <= 1024, `${calls.length}`); // what waits to be told counts, too
});

test('wrong handlers are refused at the call', () => {
  const make = (notify: unknown, policy = lenientPolicy()) =>
    new Sandbox2(callOnce(personality), policy, notify as Notify);
  assert.throws(
    () => make({ onSyscal: () => 'allow' }),
    /notify: there is no option "onSyscal", only onStarted/,
  );
  assert.throws(() => make({ onFinished: 5 }), /notify.onFinished must be a function/);
  for (const syscallTimeoutMs of [0, -1, 1.5, Number.NaN, 1e9, '5']) {
    assert.throws(() => make({ syscallTimeoutMs }), /syscallTimeoutMs must be a whole number/);
  }
  assert.throws(() => make({}, asking()), /the policy leaves personality to the host .* no onSyscall/);
  const all = new PolicyBuilder().defaultAction('traceAllSyscalls').build();
  assert.throws(() => make({}, all), /leaves all calls that no rule decides to the host/);
});

test('onStarted talks to the program before it is sandboxed', async () => {
  const heard: string[] = [];
  const notify: Notify = {
    onStarted: async (pid, comms) => {
      assert.ok(isAlive(pid));
      await comms.sendString('before');
      heard.push(await comms.recvString());
      return true;
    },
    onFinished: (result) => heard.push(String(result)),
  };
  await using sandbox = new Sandbox2(
    sandboxee('echo', ['talk-first']).setEnableSandboxBeforeExec(false),
    lenientPolicy(),
    notify,
  );
  assert.ok(await sandbox.runAsync());
  await sandbox.comms.sendUint32(5);
  assert.is(await sandbox.comms.recvUint32(), 5);
  sandbox.comms.close();
  await sandbox.awaitResult();
  assert.equal(heard, ['before', 'OK - Exit code: 0']);
});

test('onStarted says no, throws, or takes longer than the run', async () => {
  for (const meHere of [false, true]) {
    const started = (onStarted: NonNullable<Notify['onStarted']>) =>
      runWith(
        sandboxee(meHere ? 'echo' : 'wait_forever', ['me-here']).setEnableSandboxBeforeExec(!meHere),
        lenientPolicy(),
        { onStarted },
      );
    assert.match(
      String(await started(() => false)),
      /^SETUP_ERROR - Code: FAILED_NOTIFY: onStarted said no$/,
    );
    const thrown = started(() => {
      throw new Error('oh');
    });
    assert.match(String(await thrown), /^SETUP_ERROR - Code: FAILED_NOTIFY: onStarted failed: oh$/);
  }
  const executor = sandboxee('wait_forever');
  executor.limits.setWalltimeLimitMs(50);
  const slow = runWith(executor, lenientPolicy(), {
    onStarted: () => new Promise((resolve) => setTimeout(resolve, 300, true)),
  });
  assert.is((await slow).finalStatus, 'TIMEOUT');
});

for (const meHere of [false, true]) {
  test(`onStarted never returns: the end of the run is reported anyway ${meHere}`, async () => {
    let called: () => void = () => {};
    const isCalled = new Promise<void>((resolve) => {
      called = resolve;
    });
    const silent: Notify = {
      onStarted: () => {
        called();
        return new Promise(() => {});
      },
    };
    const make = (name: string) => {
      const executor = sandboxee(name, ['me-here']).setEnableSandboxBeforeExec(!meHere);
      return new Sandbox2(executor, lenientPolicy(), silent);
    };
    const timed = make(meHere ? 'echo' : 'wait_forever');
    const started = timed.runAsync();
    await isCalled;
    timed.setWalltimeLimitMs(50);
    assert.is(await started, !meHere);
    assert.is((await timed.awaitResult()).finalStatus, 'TIMEOUT');
    const killed = make(meHere ? 'echo' : 'wait_forever');
    setTimeout(() => killed.kill(), 50);
    assert.is((await killed.run()).finalStatus, 'EXTERNAL_KILL');
    assert.is((await make('exit_with').run()).finalStatus, meHere ? 'SETUP_ERROR' : 'OK');
  });
}

test('onStarted waits for the end of its own run', async () => {
  const sandbox: Sandbox2 = new Sandbox2(sandboxee('exit_with'), lenientPolicy(), {
    onStarted: async () => (await sandbox.awaitResult()).isOk,
  });
  assert.is((await sandbox.run()).finalStatus, 'OK');
});

test('onViolation, then onFinished, once, whatever happens', async () => {
  const heardOf = async (executor: Executor, policy: Policy = lenientPolicy()) => {
    const heard: string[] = [];
    const result = await runWith(executor, policy, {
      onViolation: (violation) => heard.push(`violation ${violation.syscall}`),
      onFinished: (end) => heard.push(end.finalStatus),
    });
    assert.is(heard.at(-1), result.finalStatus);
    return heard;
  };
  assert.equal(await heardOf(sandboxee('exit_with', ['3'])), ['OK']);
  assert.equal(await heardOf(sandboxee('die_by', ['abort'])), ['SIGNALED']);
  const strict = lenientPolicy((builder) => builder.syscall('personality', 'kill'));
  assert.equal(await heardOf(callOnce(personality), strict), ['violation personality', 'VIOLATION']);
  const nowhere = sandboxee('exit_with').setCwd('/nowhere');
  assert.equal(await heardOf(nowhere), ['SETUP_ERROR']);
});

test.run();
