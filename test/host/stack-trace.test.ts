// Stack traces: of which threads, when, and that a hostile program gains nothing by them.
import { once } from 'node:events';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Executor, type PolicyBuilder, probe, type Result, Sandbox2 } from '../../host/index.js';
import { eventually, lenientPolicy, runToEnd, sandboxee, sandboxeePath } from '../support/sandbox.js';
import { skip } from '../support/skip.js';
import { hangMs } from '../support/time.js';

const test = suite('stack traces');

interface Options {
  readonly policy?: (builder: PolicyBuilder) => PolicyBuilder;
}

function policyFor(name: string, { policy = (builder) => builder }: Options) {
  return lenientPolicy((builder) => policy(builder.addLibrariesForBinary(sandboxeePath(name))));
}

/** One that sleeps is ended by its wall time once it does, at once or after so long. */
async function resultOf(name: string, args: readonly string[], options: Options = {}): Promise<Result> {
  const executor = sandboxee(name, args);
  if (args[0] !== 'sleep') return (await runToEnd(executor, policyFor(name, options))).result;
  await using sandbox = new Sandbox2(executor, policyFor(name, options));
  await untilAsleep(sandbox, executor);
  sandbox.setWalltimeLimitMs(1);
  return await sandbox.awaitResult({ timeoutMs: hangMs });
}

/** Starts it, and waits until it says that it is where it is to be found. */
async function untilAsleep(sandbox: Sandbox2, executor: Executor): Promise<void> {
  const output = new Socket({ fd: executor.ipc.receiveFd(1), readable: true, writable: false });
  if (!(await sandbox.runAsync())) throw new Error(String(await sandbox.awaitResult()));
  const [said] = (await once(output, 'data')) as [Buffer];
  assert.is(String(said), 'asleep\n');
  output.destroy();
}

/** "crash_me+0x1c(0x40…)" → "crash_me" */
const functions = (frames: readonly string[]) => frames.map((frame) => frame.replace(/\+0x[^+]*$/, ''));

/** The frames contain these names in this order, perhaps with others in between. */
function includesInOrder(result: Result, names: readonly string[]): void {
  const found = functions(result.stackTrace);
  let at = 0;
  for (const name of names) {
    at = found.indexOf(name, at) + 1;
    assert.ok(at > 0, `${name} in its place in ${found.join(' ')} (${result})`);
  }
}

const ways = [
  ['crash', 'SIGNALED', 'crash_me'],
  ['violate', 'VIOLATION', 'violate_policy'],
  ['sleep', 'TIMEOUT', 'sleep_long'],
  ['exit', 'OK', 'exit_here'],
] as const;

for (const program of ['deep', 'deep_dynamic']) {
  for (const [how, status, innermost] of ways) {
    for (const [where, between] of [
      ['here', ['run_test', 'main']],
      ['recursion', ['recurse', 'recurse', '(previous frame repeated 4 times)', 'run_test', 'main']],
      ['library', ['deep_recurse', 'deep_recurse', '(previous frame repeated 4 times)', 'run_test', 'main']],
      ['handler', ['on_signal', 'run_test', 'main']],
    ] as const) {
      test(`${how} of a ${program} program, ${where}`, async () => {
        const result = await resultOf(program, [how, where], {
          policy: (builder) => builder.collectStacktracesOnExit(true),
        });
        assert.is(result.finalStatus, status);
        includesInOrder(result, [innermost, 'do_it', ...between]);
        assert.match(result.stackTrace[0] ?? '', /^.+\+0x[0-9a-f]+\(0x[0-9a-f]+\)$/);
        if (status !== 'OK') assert.ok(String(result).endsWith(` Stack: ${result.stackTrace.join(' ')}`));
      });
    }
  }

  test(`a crash and a violation of a ${program} program in a thread`, async () => {
    for (const [how, innermost] of [
      ['crash', 'crash_me'],
      ['violate', 'violate_policy'],
    ] as const) {
      const result = await resultOf(program, [how, 'thread']);
      includesInOrder(result, [innermost, 'do_it', 'thread_main']);
    }
  });

  test(`a thread of a ${program} program whose main thread has ended`, async () => {
    for (const [how, innermost] of [
      ['crash', 'crash_me'],
      ['violate', 'violate_policy'],
      ['sleep', 'sleep_long'],
    ] as const) {
      const result = await resultOf(program, [how, 'alone']);
      includesInOrder(result, [innermost, 'do_it', 'thread_main']);
    }
  });

  test(`a violation of a ${program} program in a child it forked`, async () => {
    const result = await resultOf(program, ['violate', 'child']);
    assert.is(result.finalStatus, 'VIOLATION');
    includesInOrder(result, ['violate_policy', 'do_it', 'run_test', 'main']);
  });
}

test('all threads, the relevant one first', async () => {
  for (const onSignal of [true, false]) {
    const result = await resultOf('deep_dynamic', ['violate', 'thread'], {
      policy: (builder) => builder.collectAllThreadsStacktrace(true).collectStacktracesOnSignal(onSignal),
    });
    assert.is(result.threadStackTraces.length, 2);
    const [first, second] = result.threadStackTraces;
    assert.is(first?.tid, result.violation?.tid);
    assert.ok(functions(first?.frames ?? []).includes('thread_main'));
    assert.is(second?.tid, result.violation?.pid);
    assert.ok(functions(second?.frames ?? []).includes('run_test'));
    assert.match(String(result), / Stack: Task ID \[\d+\]: .* Task ID \[\d+\]: /);
  }
  const crashed = await resultOf('deep', ['crash', 'thread'], {
    policy: (builder) => builder.collectAllThreadsStacktrace(true),
  });
  assert.is(crashed.threadStackTraces.length, 2);
  assert.is(crashed.signal, 'SIGSEGV');
});

test('without the tracer: a policy that wants no stack trace of crashes', async () => {
  for (const [how, innermost] of [
    ['violate', 'violate_policy'],
    ['sleep', 'sleep_long'],
  ] as const) {
    const result = await resultOf('deep', [how], {
      policy: (builder) => builder.collectStacktracesOnSignal(false),
    });
    includesInOrder(result, [innermost, 'do_it', 'run_test', 'main']);
  }
});

test('a kill, if the policy says so', async () => {
  for (const enabled of [true, false]) {
    const policy = policyFor('deep', { policy: (builder) => builder.collectStacktracesOnKill(enabled) });
    const executor = sandboxee('deep', ['sleep']);
    await using sandbox = new Sandbox2(executor, policy);
    await untilAsleep(sandbox, executor);
    sandbox.kill();
    const result = await sandbox.awaitResult({ timeoutMs: hangMs });
    assert.is(result.finalStatus, 'EXTERNAL_KILL');
    if (enabled) includesInOrder(result, ['sleep_long', 'run_test', 'main']);
    else assert.equal(result.stackTrace, []);
  }
});

test('none if the policy wants none', async () => {
  const policy = (builder: PolicyBuilder) =>
    builder
      .collectStacktracesOnViolation(false)
      .collectStacktracesOnSignal(false)
      .collectStacktracesOnTimeout(false);
  for (const [how, status] of ways) {
    const result = await resultOf('deep', [how], { policy });
    assert.is(result.finalStatus, status);
    assert.equal(result.stackTrace, []);
    assert.is(result.stackTraceNote, undefined);
  }
  assert.equal((await resultOf('deep', ['exit'])).stackTrace, []);
});

test('a call of no function', async () => {
  const result = await resultOf('deep', ['nowhere']);
  assert.is(result.signal, 'SIGSEGV');
  assert.is(result.stackTrace[0], '?(0x0)');
  includesInOrder(result, ['call_nowhere', 'do_it', 'run_test', 'main']);
});

test('recursion of 20,000 frames, to its beginning', async () => {
  const result = await resultOf('deep_dynamic', ['crash', 'far']);
  includesInOrder(result, [
    'crash_me',
    'recurse',
    '(previous frame repeated 19999 times)',
    'run_test',
    'main',
  ]);
});

test('a program without symbols: addresses in its file, and a note', async () => {
  const result = await resultOf('deep_stripped', ['crash']);
  const file = sandboxeePath('deep_stripped');
  assert.ok(result.stackTrace.length >= 5, String(result));
  for (const frame of result.stackTrace) assert.ok(frame.startsWith(`${file}+0x`), frame);
  assert.match(result.stackTraceNote ?? '', /stripped/);
});

test('a program whose file was removed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  chmodSync(folder, 0o755);
  const program = path.join(folder, 'program');
  writeFileSync(program, readFileSync(sandboxeePath('deep')), { mode: 0o755 });
  const executor = new Executor(program, ['program', 'sleep']);
  await using sandbox = new Sandbox2(executor, lenientPolicy());
  await untilAsleep(sandbox, executor);
  rmSync(folder, { recursive: true });
  sandbox.setWalltimeLimitMs(1);
  const result = await sandbox.awaitResult({ timeoutMs: hangMs });
  includesInOrder(result, ['sleep_long', 'do_it', 'run_test', 'main']);
});

test('names of C++ functions as they are written', async () => {
  const result = await resultOf('deep_cxx', []);
  assert.is(result.signal, 'SIGSEGV');
  const [innermost = ''] = result.stackTrace;
  if (innermost.startsWith('_ZN')) return; // this machine has no libsupc++.a, and so no demangler
  assert.match(innermost, /^deep::Crasher<unsigned long>::crash\(unsigned long\) const\+0x/);
});

test('a signal that it handles is not a crash, and it ends by itself', async () => {
  const { result, output } = await runToEnd(sandboxee('hostile_stack', ['signals']));
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, 'done\n');
});

test('a program that gets too many signals is no longer traced, and the note says so', async () => {
  const { result } = await runToEnd(sandboxee('hostile_stack', ['busy']));
  assert.is(result.finalStatus, 'SIGNALED');
  assert.equal(result.stackTrace, []);
  assert.match(result.stackTraceNote ?? '', /too many signals/);
});

test('a program that stops itself is stopped, and goes on when it is continued', async () => {
  const { result, output } = await runToEnd(sandboxee('hostile_stack', ['stop']));
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, 'done\n');
});

test('with /proc and /sys in the policy, and with Landlock alone', async () => {
  const mounted = await resultOf('deep_dynamic', ['violate'], {
    policy: (builder) => builder.addDirectory('/proc').addDirectory('/sys'),
  });
  includesInOrder(mounted, ['violate_policy', 'do_it', 'run_test', 'main']);
  const abi = (await probe()).capabilities.find(({ name }) => name === 'landlock')?.value ?? 0;
  if (abi < 6) return skip('stack traces with Landlock alone', `Landlock’s ABI is ${abi} here; 6 is needed`);
  for (const how of ['violate', 'crash']) {
    const fenced = await resultOf('deep', [how], { policy: (builder) => builder.enableLandlock() });
    includesInOrder(fenced, ['do_it', 'run_test', 'main']);
  }
});

test('many threads that come and go', async () => {
  const { result, output } = await runToEnd(sandboxee('hostile_stack', ['threads']));
  assert.is(String(result), 'OK - Exit code: 0');
  assert.is(output, 'done\n');
});

for (const how of ['nowhere', 'loop', 'garbage', 'mappings', 'twice']) {
  test(`a hostile stack: ${how}`, async () => {
    const { result } = await runToEnd(sandboxee('hostile_stack', [how]));
    assert.is(result.finalStatus, 'SIGNALED');
    assert.ok(['SIGILL', 'SIGTRAP', 'SIGSEGV'].includes(result.signal ?? ''), String(result));
    assert.ok(result.stackTrace.length <= 202, String(result.stackTrace.length));
    assert.ok(result.stackTrace.length > 0 || result.stackTraceNote !== undefined, how);
  });
}

/** Numbers that look random and are the same each time (xorshift). */
function* numbers(seed: number): Generator<number, never> {
  let state = seed | 1;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

/** The section headers of a 64-bit ELF file: the place of each section's contents. */
function sections(
  file: Buffer,
): { offset: number; size: number; header: number; flags: number; type: number }[] {
  const table = Number(file.readBigUInt64LE(0x28));
  return Array.from({ length: file.readUInt16LE(0x3c) }, (_, index) => {
    const header = table + index * 64;
    return {
      header,
      type: file.readUInt32LE(header + 4),
      flags: Number(file.readBigUInt64LE(header + 8)),
      offset: Number(file.readBigUInt64LE(header + 24)),
      size: Number(file.readBigUInt64LE(header + 32)),
    };
  });
}

test('a program whose file lies about itself', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sandwire-test-'));
  chmodSync(folder, 0o755);
  try {
    const original = readFileSync(sandboxeePath('deep'));
    const parts = sections(original);
    const names = original.readUInt16LE(0x3e);
    const nameOf = (header: number) => {
      const at = (parts[names]?.offset ?? 0) + original.readUInt32LE(header);
      return original.toString('latin1', at, original.indexOf(0, at));
    };
    // Parts that the kernel and the program do not use, but the unwinder does.
    const targets = [
      { offset: Number(original.readBigUInt64LE(0x28)), size: parts.length * 64 },
      { offset: 0x28, size: 8 },
      ...parts.filter(({ header }) =>
        ['.symtab', '.strtab', '.shstrtab', '.eh_frame'].includes(nameOf(header)),
      ),
    ];
    assert.is(targets.length, 6);
    const random = numbers(12345);
    for (let round = 0; round < 36; round++) {
      const file = Buffer.from(original);
      const target = targets[round % targets.length] ?? { offset: 0, size: 1 };
      const changes = round < 12 ? target.size : 1 + (random.next().value % 2000);
      for (let change = 0; change < changes; change++) {
        const place = round < 12 ? change : random.next().value % target.size;
        file[target.offset + place] = round < 6 ? 0xff : random.next().value % 256;
      }
      const program = path.join(folder, `liar-${round}`);
      writeFileSync(program, file, { mode: 0o755 });
      const { result } = await runToEnd(new Executor(program, ['liar', 'crash', 'recursion']));
      assert.is(result.signal, 'SIGSEGV', `round ${round}: ${result}`);
      assert.ok(result.stackTrace.length <= 202);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The supervisor of this process, by its parent. */
function supervisorPid(): number {
  for (const entry of readdirSync('/proc')) {
    try {
      const status = readFileSync(`/proc/${entry}/status`, 'utf8');
      const isOurs = status.includes(`\nPPid:\t${process.pid}\n`);
      if (isOurs && status.startsWith('Name:\tsandwire-superv')) return Number(entry);
    } catch {} // not a process, or one that has just ended
  }
  throw new Error('there is no supervisor');
}

function fdsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\d+/, '');
    } catch {
      return 'gone';
    }
  });
}

function childrenOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((child) => child !== '')
    .flatMap((child) => {
      try {
        return [readFileSync(`/proc/${child}/comm`, 'utf8').trim()];
      } catch {
        return []; // it has just ended
      }
    });
}

test('nothing of it is left: no fd, no process', async () => {
  await resultOf('deep', ['crash']);
  const pid = supervisorPid();
  const ready = ['sandwire-init', 'sandwire-inside', 'unwinder-ready', 'sandwire-reader'];
  const spares = () => childrenOf(pid).filter((name) => !ready.includes(name));
  await eventually('the first run is cleared away', () => spares().length === 0);
  const before = fdsOf(pid).filter((name) => name.includes('memfd') || name === 'anon_inode:[pidfd]').length;
  for (let round = 0; round < 10; round++) {
    await Promise.all([
      resultOf('deep', ['crash']),
      resultOf('deep', ['violate', 'child']),
      resultOf('deep', ['violate']),
      resultOf('deep', ['sleep']),
    ]);
  }
  await eventually('the rest is cleared away', () => spares().length === 0);
  await eventually('its fds are closed', () => {
    const now = fdsOf(pid).filter((name) => name.includes('memfd') || name === 'anon_inode:[pidfd]').length;
    return now <= before + 19; // two pidfds for each prewarmed sandbox, a pidfd and a memfd for an unwinder, one for a reader
  });
  assert.ok(childrenOf(pid).filter((name) => name === 'unwinder-ready').length <= 1);
  const isThere = () => childrenOf(pid).includes('unwinder-ready');
  await eventually('no unwinder is kept for ever', () => !isThere());
});

/** Sends the signal to the unwinder of a run as soon as it exists. Returns whether it did. */
async function signalUnwinder(run: Promise<unknown>, signal: NodeJS.Signals): Promise<boolean> {
  const children = `/proc/${supervisorPid()}/task/${supervisorPid()}/children`;
  let done = false;
  let met = false;
  void run.then(() => {
    done = true;
  });
  while (!done && !met) {
    for (const child of readFileSync(children, 'utf8').split(' ')) {
      try {
        if (readFileSync(`/proc/${child}/comm`, 'utf8') !== 'sandwire-unwind\n') continue;
        process.kill(Number(child), signal);
        met = true;
      } catch {} // it has ended
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return met;
}

for (const [signal, note] of [
  ['SIGKILL', /unwinder failed/],
  ['SIGSTOP', /none within a second/],
] as const) {
  test(`an unwinder that gets ${signal}: the run ends as it would have without it, and the note says so`, async () => {
    await resultOf('deep', ['exit']);
    for (let round = 0; round < 50; round++) {
      const run = resultOf('deep', [round % 2 === 0 ? 'crash' : 'violate', 'far']);
      const met = await signalUnwinder(run, signal);
      const result = await run;
      assert.is(result.finalStatus, round % 2 === 0 ? 'SIGNALED' : 'VIOLATION');
      if (!met || result.stackTrace.length > 0) continue; // it was too late
      assert.match(result.stackTraceNote ?? '', note);
      return;
    }
    throw new Error('the unwinder was never met');
  });
}

test.run();
