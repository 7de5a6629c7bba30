// A Result alone: its text and its data.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FinalStatus, ReasonCode, Result, type Violation } from '../../host/index.js';
import { describeViolation } from '../../host/violation.js';

const test = suite('a result');

const violation: Violation = {
  syscall: 'openat',
  number: 257,
  args: [{ value: '0xffffff9c', text: 'AT_FDCWD' }],
  arch: 'X86-64',
  instructionPointer: '0x1234',
  pid: 100,
  tid: 101,
  program: '/bin/tool',
  cause: 'policy',
  comm: 'tool',
  description: "[X86-64] openat [257](AT_FDCWD) IP: 0x1234, PID: 100, TID: 101, PROG: '/bin/tool'",
};

test('statuses and reason codes have the numbers of sandbox2', () => {
  assert.equal(Object.entries(FinalStatus), [
    ['UNSET', 0],
    ['OK', 1],
    ['SETUP_ERROR', 2],
    ['VIOLATION', 3],
    ['SIGNALED', 4],
    ['TIMEOUT', 5],
    ['EXTERNAL_KILL', 6],
    ['INTERNAL_ERROR', 7],
  ]);
  assert.is(ReasonCode.FAILED_SUBPROCESS, 3);
  assert.is(ReasonCode.FAILED_LIMITS, 11);
  assert.is(ReasonCode.FAILED_MONITOR, 19);
  assert.is(ReasonCode.VIOLATION_SYSCALL, 24);
  assert.is(ReasonCode.VIOLATION_ARCH, 25);
});

test('a reason code by name, and one without', () => {
  const result = (reasonCode: number) => new Result({ finalStatus: 'SETUP_ERROR', reasonCode });
  for (const [name, code] of Object.entries(ReasonCode)) assert.is(result(code).reason, name);
  assert.is(result(999).reason, undefined);
  assert.is(String(result(999)), 'SETUP_ERROR - Code: UNKNOWN: 999');
});

test('what is not set is empty', () => {
  const result = new Result({ finalStatus: 'UNSET', reasonCode: 0 });
  assert.is(String(result), 'UNSET - Code: 0');
  assert.not.ok(result.isOk);
  assert.equal(result.toStatus(), { code: 'INTERNAL', message: 'UNSET - Code: 0' });
  assert.equal(result.stackTrace, []);
  assert.equal(result.threadStackTraces, []);
  assert.is(result.stackTraceText, '');
  assert.is(result.violation, undefined);
  assert.is(result.rusage, undefined);
  assert.equal(JSON.parse(JSON.stringify(result)), { finalStatus: 'UNSET', reasonCode: 0 });
});

const words = (fields: ConstructorParameters<typeof Result>[0]) => String(new Result(fields));
const stackTrace = ['f0', 'f1'];

for (const [fields, text, code] of [
  [{ finalStatus: 'OK', reasonCode: 0 }, 'OK - Exit code: 0', 'OK'],
  [{ finalStatus: 'OK', reasonCode: 42 }, 'OK - Exit code: 42', 'INTERNAL'],
  [{ finalStatus: 'TIMEOUT', reasonCode: 10 }, 'Process TIMEOUT - Code: 10', 'DEADLINE_EXCEEDED'],
  [{ finalStatus: 'SETUP_ERROR', reasonCode: 11 }, 'SETUP_ERROR - Code: FAILED_LIMITS', 'INTERNAL'],
  [
    { finalStatus: 'SETUP_ERROR', reasonCode: 7, message: 'mount /usr/lib at /usr/lib: EPERM' },
    'SETUP_ERROR - Code: FAILED_NAMESPACES: mount /usr/lib at /usr/lib: EPERM',
    'INTERNAL',
  ],
  [
    { finalStatus: 'SIGNALED', reasonCode: 11 },
    'Process terminated with a SIGNAL - Signal: SIGSEGV [11]',
    'INTERNAL',
  ],
  [{ finalStatus: 'EXTERNAL_KILL', reasonCode: 0 }, 'Process killed by user - Code: 0', 'INTERNAL'],
  [{ finalStatus: 'INTERNAL_ERROR', reasonCode: 19 }, 'INTERNAL_ERROR - Code: FAILED_MONITOR', 'INTERNAL'],
  [{ finalStatus: 'VIOLATION', reasonCode: 24 }, 'SYSCALL VIOLATION - Unknown Violation', 'INTERNAL'],
  [
    { finalStatus: 'VIOLATION', reasonCode: 24, violation, stackTrace },
    `SYSCALL VIOLATION - Violating Syscall ${violation.description} Stack: f0 f1`,
    'INTERNAL',
  ],
  [
    { finalStatus: 'SIGNALED', reasonCode: 25, message: 'a limit', stackTrace },
    'Process terminated with a SIGNAL - Signal: SIGXFSZ [25]: a limit Stack: f0 f1',
    'INTERNAL',
  ],
  [
    { finalStatus: 'TIMEOUT', reasonCode: 0, stackTrace },
    'Process TIMEOUT - Code: 0 Stack: f0 f1',
    'DEADLINE_EXCEEDED',
  ],
  [
    { finalStatus: 'EXTERNAL_KILL', reasonCode: 0, stackTrace },
    'Process killed by user - Code: 0 Stack: f0 f1',
    'INTERNAL',
  ],
] as const) {
  test(text, () => {
    assert.is(words(fields), text);
    const message = code === 'OK' ? '' : text;
    assert.equal(new Result(fields).toStatus(), { code, message });
  });
}

test('the frames of one thread, and of several', () => {
  const one = [{ tid: 100, frames: stackTrace }];
  const two = [...one, { tid: 101, frames: ['g0'] }];
  const fields = { finalStatus: 'TIMEOUT', reasonCode: 0, stackTrace } as const;
  assert.is(new Result({ ...fields, threadStackTraces: one }).stackTraceText, 'f0 f1');
  const both = new Result({ ...fields, threadStackTraces: two });
  assert.is(both.stackTraceText, 'Task ID [100]: f0 f1 Task ID [101]: g0');
  assert.is(String(both), 'Process TIMEOUT - Code: 0 Stack: Task ID [100]: f0 f1 Task ID [101]: g0');
});

test('JSON keeps all of it', () => {
  const rusage = {
    userTimeMs: 1.5,
    systemTimeMs: 2,
    maxRssBytes: 4096,
    minorFaults: 1,
    majorFaults: 0,
    voluntarySwitches: 3,
    involuntarySwitches: 4,
    blocksRead: 0,
    blocksWritten: 0,
  };
  const fields = {
    finalStatus: 'VIOLATION',
    reasonCode: 24,
    message: 'said',
    violation,
    rusage,
    stackTrace,
    threadStackTraces: [{ tid: 1, frames: ['f0'] }],
    stackTraceNote: 'no symbols',
  } as const;
  const copy = JSON.parse(JSON.stringify(new Result(fields)));
  assert.equal(copy, { ...fields, reason: 'VIOLATION_SYSCALL' });
  assert.is(String(new Result(copy)), String(new Result(fields)));
  const ok = JSON.parse(JSON.stringify(new Result({ finalStatus: 'OK', reasonCode: 7 })));
  assert.equal(ok, { finalStatus: 'OK', reasonCode: 7, exitCode: 7 });
  const signaled = JSON.parse(JSON.stringify(new Result({ finalStatus: 'SIGNALED', reasonCode: 6 })));
  assert.is(signaled.signal, 'SIGABRT');
});

test('the name of a program cannot control a terminal', () => {
  const described = describeViolation({
    arch: 0xc000003e,
    syscall: 1n,
    pid: 1,
    tid: 1,
    program: new TextEncoder().encode("/a'\x1b[8m\u202e\u2028/b"),
    comm: new Uint8Array(),
  });
  assert.match(described.description, /PROG: '\/a\?\\x1b\[8m\\u\{202e\}\\u\{2028\}\/b'$/);
});

test.run();
