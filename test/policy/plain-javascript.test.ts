// What plain JavaScript may pass to the builder: each argument of each method is replaced by wrong values, and what was
// passed is changed afterwards. Either it is refused, or it counts as it was when it was passed.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ALLOW,
  ARG_32,
  type Condition,
  ERRNO,
  JA,
  JEQ,
  JEQ32,
  JGE,
  JGT,
  JLE,
  JLT,
  JNE,
  JUMP,
  KILL,
  LABEL,
  PolicyBuilder,
  PolicyError,
  TRAP,
} from '../../host/index.js';
import { Argument, argumentsOf } from '../../host/policy/arguments.js';
import { Opcode } from '../../host/policy/bpf/instructions.js';

const test = suite('plain JavaScript');

const oddities: readonly unknown[] = [
  ...[
    null,
    undefined,
    true,
    false,
    0.5,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 40,
    5n,
    'nonsense',
    '',
  ],
  ...['a\nb\u001b[8m', Symbol('odd'), {}, { odd: 1 }, { errno: 1, trap: 1 }, Object.create(null), new Map()],
  ...[
    [],
    [null],
    [[]],
    () => undefined,
    () => null,
    () => [],
    () => [null],
    () => ({ kind: 'always' }),
    Object,
  ],
  ...[() => ({ kind: 'all', of: [] }), () => ({ kind: 'not' }), async () => undefined, { override: 'no' }],
  { override: null },
];

/** Correct arguments, and by place those of the odd values that are correct too. */
interface Right {
  readonly given: readonly unknown[];
  readonly alsoRight?: readonly ((value: unknown) => boolean)[];
}

const isNothing = (value: unknown) => value === undefined;
const never = () => false;
const isOptions = (value: unknown) =>
  value === undefined ||
  value instanceof Map ||
  (typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Reflect.ownKeys(value).length === 0);
const isBoolean = (value: unknown) => typeof value === 'boolean';

const single: Right = { given: ['umask', 'EPERM', {}], alsoRight: [never, never, isOptions] };
const several: Right = { given: [['umask', 'getpid'], 'EPERM', {}], alsoRight: [never, never, isOptions] };
const program = [ARG_32(0), JEQ32(1, KILL)];

const methods: Readonly<Record<string, readonly Right[]>> = {
  allowSyscall: [{ given: ['umask', {}], alsoRight: [never, isOptions] }],
  allowSyscalls: [{ given: [['umask'], {}], alsoRight: [never, isOptions] }],
  blockSyscallWithErrno: [single],
  blockSyscallsWithErrno: [several],
  overridableBlockSyscallWithErrno: [{ given: ['umask', 'EPERM'] }],
  addPolicyOnSyscall: [{ given: ['umask', program, {}], alsoRight: [never, never, isOptions] }],
  addPolicyOnSyscalls: [{ given: [['umask'], program, {}], alsoRight: [never, never, isOptions] }],
  addPolicyOnMmap: [{ given: [program, {}], alsoRight: [never, isOptions] }],
  overridablePolicyOnSyscall: [{ given: ['umask', program] }],
  overridablePolicyOnSyscalls: [{ given: [['umask'], program] }],
  syscall: [
    { given: ['umask'] },
    { given: [['umask']] },
    { given: ['umask', 'kill'] },
    { given: ['umask', 'kill', {}], alsoRight: [never, never, isOptions] },
    { given: ['umask', { errno: 'EPERM' }] },
    {
      given: ['umask', (arg: (index: number) => Argument) => arg(0).eq(1), 'kill', {}],
      alsoRight: [never, never, never, isOptions],
    },
    { given: ['umask', () => argumentsOf('umask')(0).eq(1)] },
  ],
  defaultAction: [{ given: ['allowAllSyscalls'] }],
  allow: [{ given: ['allowBpf'] }, { given: ['allowBpf', 'allowPtrace'] }],
  allowFutexOp: [{ given: [1] }],
  allowMmap: [{ given: ['allowMapExec'] }],
  allowMprotect: [{ given: ['allowMapExec'] }],
  allowPkeyMprotect: [{ given: ['allowMapExec'] }],
  allowDynamicStartup: [{ given: ['allowMapExec'], alsoRight: [isNothing] }],
  allowRestartableSequences: [{ given: ['requireFastFences'], alsoRight: [isNothing] }],
  setHostname: [{ given: ['box'], alsoRight: [(value) => value === 'nonsense'] }],
  ...Object.fromEntries(
    ['Violation', 'Signal', 'Timeout', 'Kill', 'Exit'].map((when) => [
      `collectStacktracesOn${when}`,
      [{ given: [true], alsoRight: [isBoolean] }],
    ]),
  ),
  collectAllThreadsStacktrace: [{ given: [true], alsoRight: [isBoolean] }],
};

/** Methods that take paths have tests of their own. */
const isMount = (name: string) => /^add(File|Directory|Tmpfs|Libraries|NodeRuntime)/.test(name);

type Anything = Record<string, (...given: readonly unknown[]) => unknown>;

const textOf = (builder: PolicyBuilder) => JSON.stringify(builder.build());

test('every method with parameters is tried', () => {
  const builder = new PolicyBuilder();
  const names = new Set<string>(Object.keys(builder));
  for (
    let made: object = Object.getPrototypeOf(builder);
    made !== Object.prototype;
    made = Object.getPrototypeOf(made)
  ) {
    for (const name of Object.getOwnPropertyNames(made)) names.add(name);
  }
  const taking = [...names].filter((name) => {
    const method = Object.getOwnPropertyDescriptor(builder, name)?.value ?? Reflect.get(builder, name);
    // The length of a method with only default parameters is 0; its source shows them.
    return (
      typeof method === 'function' &&
      !/^(constructor|preset|filter)$/.test(name) &&
      !/^\w*\s*(=\s*)?\(\)/.test(String(method))
    );
  });
  const missing = taking.filter((name) => !isMount(name) && methods[name] === undefined);
  assert.equal(missing, []);
});

test('a wrong argument is refused, and the call changes nothing', () => {
  for (const [name, cases] of Object.entries(methods)) {
    for (const { given, alsoRight = [] } of cases) {
      const call = (builder: PolicyBuilder, args: readonly unknown[]) =>
        (builder as unknown as Anything)[name]?.(...args);
      call(new PolicyBuilder(), given);
      given.forEach((_, place) => {
        for (const odd of oddities) {
          if (alsoRight[place]?.(odd) === true) continue;
          const builder = new PolicyBuilder().blockSyscallWithErrno('getppid', 'EPERM');
          const before = textOf(builder);
          const what = `${name}, argument ${place}: ${String(typeof odd === 'object' ? typeof odd : String(odd))}`;
          assert.throws(
            () => call(builder, given.with(place, odd)),
            (error: unknown) =>
              error instanceof PolicyError &&
              !/native code|\[object|undefined \(|Cannot /.test(error.message),
            what,
          );
          assert.is(textOf(builder), before, what);
        }
      });
    }
  }
});

test('arguments of the constructor', () => {
  for (const odd of oddities) {
    if (isOptions(odd)) continue;
    assert.throws(() => new PolicyBuilder(odd as never), isPolicyError);
    if (odd !== undefined) assert.throws(() => new PolicyBuilder({ arch: odd as never }), isPolicyError);
  }
  assert.throws(() => new PolicyBuilder('aarch64' as never), isPolicyError);
});

function isPolicyError(error: unknown): boolean {
  return error instanceof PolicyError;
}

test('undefined or null is not the same as leaving an argument out', () => {
  for (const nothing of [undefined, null]) {
    for (const given of [
      ['openat', nothing],
      ['openat', nothing, 'kill'],
      ['openat', nothing, undefined],
      ['openat', (arg: (index: number) => Argument) => arg(0).eq(1), nothing],
      ['openat', 'allow', {}, nothing],
    ]) {
      const builder = new PolicyBuilder() as unknown as Anything;
      assert.throws(() => builder['syscall']?.(...given), isPolicyError);
    }
  }
});

test('values in expressions and in pieces of BPF', () => {
  const isRangeError = (error: unknown) => error instanceof RangeError;
  const values = oddities.filter((odd) => typeof odd !== 'bigint' && odd !== -1 && odd !== 2 ** 40);
  const argument = () => new Argument('mmap', 1, 64);
  for (const odd of values as never[]) {
    for (const method of [
      'eq',
      'ne',
      'in',
      'notIn',
      'mask',
      'hasAny',
      'hasNone',
      'hasAll',
      'hasOnly',
    ] as const) {
      assert.throws(() => argument()[method](odd), isRangeError, `${method} ${String(typeof odd)}`);
    }
    for (const macro of [JEQ, JNE, JGT, JGE, JLT, JLE, JA, JEQ32]) {
      assert.throws(() => macro(odd, ALLOW), isRangeError);
    }
    for (const macro of [TRAP, ERRNO]) {
      assert.throws(() => macro(odd), isRangeError);
    }
  }
});

test('values that do not fit into 64, 32 or 16 bits do not wrap', () => {
  const isRangeError = (error: unknown) => error instanceof RangeError;
  for (const macro of [JEQ, JNE, JGT, JGE, JLT, JLE, JA]) {
    for (const value of [1n << 64n, -(1n << 63n) - 1n, 2 ** 53, 2 ** 64]) {
      assert.throws(() => macro(value, ALLOW), isRangeError);
    }
    macro(2n ** 64n - 1n, ALLOW);
    macro(-1, ALLOW);
  }
  for (const data of [-1, 65536, 0x1ffff]) assert.throws(() => TRAP(data), isRangeError);
  assert.is(TRAP(65535).k, 0x0003ffff);
});

test('an instruction is four numbers that fit, a label has a name', () => {
  const slips: unknown[] = [
    { code: 6, jt: 0, jf: 0 },
    { code: 0x10006, jt: 0, jf: 0, k: 0 },
    { code: '6', jt: 0, jf: 0, k: 0 },
    { code: 0x15, jt: -1, jf: 0, k: 0 },
    { code: 0x15, jt: 0, jf: 256, k: 0 },
    { code: 0x15, jt: 0.5, jf: 0, k: 0 },
    { code: 6, jt: 0, jf: 0, k: -1 },
    { code: 6, jt: 0, jf: 0, k: 2 ** 32 },
    { code: 6, jt: 0, jf: 0, k: 0x7fff0000n },
    { kind: 'jump', name: 5 },
    { kind: 'label' },
    { kind: 'other', code: 6, jt: 0, jf: 0, k: 0 },
    null,
  ];
  for (const slip of slips) {
    assert.throws(
      () => new PolicyBuilder().addPolicyOnSyscall('umask', [slip as never, ...Array(300).fill(KILL)]),
      isPolicyError,
    );
  }
  const endless: unknown[] = [KILL];
  endless.push(endless);
  assert.throws(() => new PolicyBuilder().addPolicyOnSyscall('umask', endless as never), /nested too deeply/);
  assert.throws(
    () => new PolicyBuilder().addPolicyOnSyscall('umask', Array(4097).fill(KILL)),
    /more than 4096 instructions/,
  );
});

test('changing what was passed does not change the policy', () => {
  const mutable = <T>(value: T) => value as { -readonly [Key in keyof T]: T[Key] };
  const kill = { code: Opcode.RETURN, jt: 0, jf: 0, k: 0 };
  const label = mutable(LABEL('on'));
  const jump = mutable(JUMP('on'));
  const piece = [jump, ALLOW, label, kill];
  const condition = { kind: 'in', arg: 0, bits: 32, values: [1n] } as Condition & { kind: 'in' };
  const nested = { kind: 'all', of: [condition] as Condition[] } as const;
  const listed = ['getsid', 'getpgid'];
  const options = { override: true };
  const action = { errno: 'EPERM' };
  const builder = new PolicyBuilder({ arch: 'x86-64' })
    .addPolicyOnSyscall('ptrace', [kill])
    .overridablePolicyOnSyscall('kcmp', [kill])
    .addPolicyOnSyscall('umask', piece)
    .syscall('getpid', () => condition, 'kill')
    .syscall('getuid', () => [nested], 'kill')
    .blockSyscallsWithErrno(listed, 'EPERM', options)
    .syscall('gettid', action);
  const before = JSON.stringify(builder.build());
  kill.k = 0x7fff0000;
  jump.name = 'nowhere';
  label.name = 'elsewhere';
  piece.length = 0;
  (condition.values as bigint[]).push(7n);
  mutable(condition).arg = 3;
  nested.of.length = 0;
  listed[0] = 'ptrace';
  options.override = false;
  action.errno = 'EIO';
  assert.is(JSON.stringify(builder.build()), before);
  assert.is(builder.build().evaluate({ syscall: 'ptrace' }).action, 'violation');
  // Shared objects cannot be changed at all.
  for (const shared of [ALLOW, KILL, ERRNO('EPERM'), ...builder.build().instructions]) {
    assert.throws(() => {
      mutable(shared).k = 1;
    }, TypeError);
  }
});

test('an instruction that is different each time it is read', () => {
  let reads = 0;
  const shifty = {
    code: Opcode.RETURN,
    jt: 0,
    jf: 0,
    get k() {
      return reads++ === 0 ? 0x00050001 : 0x7fff0000;
    },
  };
  const policy = new PolicyBuilder().addPolicyOnSyscall('ptrace', [shifty]).build();
  assert.is(policy.evaluate({ syscall: 'ptrace' }).action, 'errno');
  assert.is(reads, 1);
});

test.run();
