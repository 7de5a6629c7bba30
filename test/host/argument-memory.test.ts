// What a call's arguments point at is read by a process that can be blocked, for example by a program whose threads
// hold its mmap lock. Here that process is stopped: only the memory may be missing then.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PolicyBuilder, type Result, Sandbox2 } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { childrenOf, commOf, supervisorPid } from '../support/processes.js';
import { eventually, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';
import { whileKept } from '../support/while-kept.js';

const test = suite('argument memory');
const chdir = String(syscallNumber('chdir'));

const readers = () => childrenOf(supervisorPid()).filter((pid) => commOf(pid) === 'sandwire-reader');

/** The reader that is kept, and that the next call uses. */
async function idleReader(): Promise<number> {
  await violate();
  await eventually('one reader is kept', () => readers().length === 1);
  return readers()[0] ?? 0;
}

const forbidding = (traces: boolean) =>
  new PolicyBuilder().allowStaticStartup().allowExit().collectStacktracesOnViolation(traces).build();

async function violate(traces = false): Promise<Result> {
  return (await runToEnd(sandboxee('make_syscall', [chdir, '/some/where']), forbidding(traces))).result;
}

async function ask(): Promise<{ result: Result; texts: (string | undefined)[] }> {
  const policy = lenientPolicy((builder) => builder.syscall('chdir', 'notify'));
  const texts: (string | undefined)[] = [];
  await using sandbox = new Sandbox2(sandboxee('make_syscall', [chdir, '/some/where']), policy, {
    onSyscall: (call) => {
      texts.push(call.text(0));
      return { errno: 'EXDEV' };
    },
  });
  const result = await sandbox.run();
  return { result, texts };
}

const told = /chdir.*\/some\/where/;

const noReader = () => eventually('no reader is left', () => readers().length === 0);

test('one reader serves run after run', async () => {
  await whileKept(async () => {
    const reader = await idleReader();
    const forbidden = String(await violate());
    const { texts } = await ask();
    const now = readers();
    return () => {
      assert.match(forbidden, told);
      assert.equal(texts, ['/some/where']);
      assert.equal(now, [reader]);
    };
  }, noReader);
});

for (const traces of [false, true]) {
  test(`a reader that does not answer: the violation is reported without its memory, stack trace ${traces}`, async () => {
    const reader = await idleReader();
    process.kill(reader, 'SIGSTOP');
    const result = await violate(traces);
    assert.is(result.finalStatus, 'VIOLATION');
    assert.is(result.violation?.syscall, 'chdir');
    assert.not.match(String(result), told);
    assert.is(result.stackTrace.length > 0, traces, String(result));
    await eventually('it is gone', () => !readers().includes(reader));
    assert.match(String(await violate(traces)), told);
  });
}

test('a reader that does not answer: the host gets the call without its memory, and others do not wait', async () => {
  process.kill(await idleReader(), 'SIGSTOP');
  const [first, second] = await Promise.all([ask(), ask()]);
  const texts = [...first.texts, ...second.texts];
  assert.equal(
    texts.filter((text) => text !== undefined),
    ['/some/where'],
  );
  assert.is(texts.length, 2);
  for (const { result } of [first, second]) assert.is(result.exitCode, 18, String(result));
});

test('a reader that is killed is replaced', async () => {
  process.kill(await idleReader(), 'SIGKILL');
  assert.match(String(await violate()), told);
  process.kill(await idleReader(), 'SIGKILL');
  assert.equal((await ask()).texts, ['/some/where']);
});

test('no reader is kept for ever', async () => {
  const reader = await idleReader();
  await eventually('it is gone', () => !readers().includes(reader));
});

test('a run that is killed while its call is read', async () => {
  const reader = await idleReader();
  process.kill(reader, 'SIGSTOP');
  const sandbox = new Sandbox2(sandboxee('make_syscall', [chdir, '/some/where']), forbidding(true));
  const result = sandbox.run();
  sandbox.kill();
  assert.ok(['EXTERNAL_KILL', 'VIOLATION'].includes((await result).finalStatus));
  await sandbox[Symbol.asyncDispose]();
  process.kill(reader, 'SIGCONT');
  assert.match(String(await violate()), told);
});

test.run();
