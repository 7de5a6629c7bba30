// What a call's arguments point at is read by a process that can be kept waiting – by a program whose threads hold its mmap
// lock, for one. Here it is stopped: nothing but the words may be missing then.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PolicyBuilder, type Result, Sandbox2 } from '../../host/index.js';
import { syscallNumber } from '../../host/policy/syscalls.js';
import { childrenOf, commOf, supervisorPid } from '../support/processes.js';
import { eventually, lenientPolicy, runToEnd, sandboxee } from '../support/sandbox.js';

const test = suite('argument memory');
const chdir = String(syscallNumber('chdir'));

const readers = () => childrenOf(supervisorPid()).filter((pid) => commOf(pid) === 'sandwire-reader');

/** The one that is left over, and serves the next who needs one. */
async function spareReader(): Promise<number> {
  await violate();
  await eventually('a reader is left', () => readers().length === 1);
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

test('one reader serves run after run', async () => {
  const reader = await spareReader();
  assert.match(String(await violate()), told);
  assert.equal((await ask()).texts, ['/some/where']);
  assert.equal(readers(), [reader]);
});

for (const traces of [false, true]) {
  test(`a reader that does not answer: the violation stands without its words, stack trace ${traces}`, async () => {
    const reader = await spareReader();
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

test('a reader that does not answer: the host is asked without the words, and others are not kept waiting', async () => {
  process.kill(await spareReader(), 'SIGSTOP');
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
  process.kill(await spareReader(), 'SIGKILL');
  assert.match(String(await violate()), told);
  process.kill(await spareReader(), 'SIGKILL');
  assert.equal((await ask()).texts, ['/some/where']);
});

test('none is kept for ever', async () => {
  const reader = await spareReader();
  await eventually('it is gone', () => !readers().includes(reader), 10_000);
});

test('a run that is killed while its call is read', async () => {
  const reader = await spareReader();
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
