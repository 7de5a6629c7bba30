// The compiler: the program for any policy decides as its rules say, in the interpreter and in the kernel. It is short,
// its paths are short, and the kernel can see in advance what is always allowed.
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Action,
  ALLOW,
  ARG_32,
  type Arch,
  allOf,
  anyOf,
  type Condition,
  type DangerousToken,
  JEQ32,
  KILL,
  not,
  type Policy,
  PolicyBuilder,
  PolicyError,
} from '../../host/index.js';
import { describeAction } from '../../host/policy/actions.js';
import type { ArgumentOf } from '../../host/policy/arguments.js';
import { type Instruction, instruction, Opcode } from '../../host/policy/bpf/instructions.js';
import { checkProgram, dataWords } from '../../host/policy/bpf/interpreter.js';
import { checkPiece } from '../../host/policy/rules.js';
import { auditArch, nativeArch, syscallNumber } from '../../host/policy/syscalls.js';
import { syscallsX8664 } from '../../host/policy/tables/syscalls-x86-64.generated.js';
import { guardedSyscalls } from '../../host/policy/tokens.js';
import { kernelAnswers } from './kernel.js';

const test = suite('compiler');

/**
 * What the kernel finds out about a number when it loads the program, by the rules of seccomp_is_const_allow(): it
 * follows the program knowing only number and architecture, and gives up at anything else.
 */
function isConstantAllow(program: readonly Instruction[], number: number, arch: Arch): boolean {
  let a = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at] as Instruction;
    const jump = (condition: boolean) => {
      at += condition ? jt : jf;
    };
    if (code === Opcode.LOAD && k === 0) a = number;
    else if (code === Opcode.LOAD && k === 4) a = auditArch[arch];
    else if (code === Opcode.RETURN) return k === 0x7fff0000;
    else if (code === Opcode.JUMP) at += k;
    else if (code === Opcode.JUMP_IF_EQUAL) jump(a === k);
    else if (code === Opcode.JUMP_IF_GREATER) jump(a > k);
    else if (code === Opcode.JUMP_IF_GREATER_OR_EQUAL) jump(a >= k);
    else if (code === Opcode.JUMP_IF_ANY_BIT) jump((a & k) !== 0);
    else if (code === Opcode.AND) a = (a & k) >>> 0;
    else return false;
  }
  return false;
}

/** How many instructions the kernel executes for a call. */
function stepsOf(program: readonly Instruction[], words: Uint32Array): number {
  let [a, steps] = [0, 0];
  for (let at = 0; ; at++) {
    const { code, jt, jf, k } = program[at] as Instruction;
    steps++;
    if (code === Opcode.RETURN) return steps;
    if (code === Opcode.LOAD) a = words[k >> 2] ?? 0;
    else if (code === Opcode.AND) a = (a & k) >>> 0;
    else if (code === Opcode.JUMP) at += k;
    else if (code === Opcode.JUMP_IF_EQUAL) at += a === k ? jt : jf;
    else if (code === Opcode.JUMP_IF_GREATER) at += a > k ? jt : jf;
    else if (code === Opcode.JUMP_IF_GREATER_OR_EQUAL) at += a >= k ? jt : jf;
    else if (code === Opcode.JUMP_IF_ANY_BIT) at += (a & k) !== 0 ? jt : jf;
    else throw new Error(`unexpected 0x${code.toString(16)}`);
  }
}

const guarded = new Set<string>(Object.values(guardedSyscalls).flat());
const harmless = Object.keys(syscallsX8664).filter((name) => !guarded.has(name));

/** A policy with 240 syscalls allowed, 60 of them under conditions. */
function large(): Policy {
  const builder = new PolicyBuilder({ arch: 'x86-64' }).allowSyscalls(harmless.slice(60, 300));
  harmless.slice(0, 60).forEach((name, index) => {
    builder.syscall(name, (arg) => [arg(0).u32.in(index, index + 3), arg(1).u64.gt(1n << 32n)]);
  });
  return builder.build();
}

/** Syscalls whose arguments the preamble or a restraint tests. */
const conditional = [
  ...['clone', 'unshare', 'seccomp', 'prctl', 'ioctl', 'execveat', 'fcntl', 'socket'],
  ...['close_range', 'setrlimit', 'prlimit64', 'setsockopt', 'getsockopt'],
];

test('what is always allowed is so in the kernel’s bitmap', () => {
  const policies = [
    large(),
    new PolicyBuilder({ arch: 'x86-64' }).allowNode().build(),
    new PolicyBuilder({ arch: 'x86-64' }).defaultAction('allowAllSyscalls').build(),
    new PolicyBuilder({ arch: 'aarch64' }).allowDynamicStartup().allowExit().build(),
  ];
  for (const policy of policies) {
    let count = 0;
    for (let number = 0; number < 512; number++) {
      const { action, rule } = policy.evaluate({ syscall: number });
      const always = action === 'allow' && rule.text === 'allow';
      // Of these the preamble decides some calls, by their arguments.
      const looksAtArguments = conditional.some((name) => syscallNumber(name, policy.arch) === number);
      const constant = isConstantAllow(policy.instructions, number, policy.arch);
      if (!looksAtArguments) assert.is(constant, always, String(number));
      else assert.not.ok(constant);
      if (constant) count++;
    }
    assert.ok(count > 5);
  }
  const closing = new PolicyBuilder().allowSyscall('close').build();
  assert.ok(isConstantAllow(closing.instructions, syscallNumber('close') ?? -1, nativeArch));
});

test('however long the policy, a call takes few steps', () => {
  const policy = large();
  assert.ok(policy.instructions.length < 1500, String(policy.instructions.length));
  for (let number = 0; number < 470; number++) {
    for (const args of [[], [1n, 1n << 40n], [number, -1n]]) {
      const words = dataWords({ nr: number, arch: auditArch['x86-64'], args: args.map(BigInt) });
      const steps = stepsOf(policy.instructions, words);
      assert.ok(steps <= 24, `${steps} for ${number}`);
    }
  }
});

test('rules that end alike share their code', () => {
  const sizeOf = (names: readonly string[]) =>
    new PolicyBuilder({ arch: 'x86-64' })
      .syscall(names, (arg) => arg(0).u32.in(...Array.from({ length: 40 }, (_, index) => index * 5)))
      .build().instructions.length;
  const one = sizeOf(['getpgid']);
  const many = sizeOf(['getpgid', 'getsid', 'sched_getscheduler', 'sched_getparam', 'alarm', 'umask']);
  assert.ok(many < one + 40, `${one} and ${many}`);
});

test('a program longer than the kernel accepts is refused, with the syscalls that need the most', () => {
  const builder = new PolicyBuilder({ arch: 'x86-64' }).allowRead();
  const values = (from: number) => Array.from({ length: 1500 }, (_, index) => from + index * 7);
  builder.syscall('socket', (arg) => arg(0).in(...values(1)));
  builder.syscall('madvise', (arg) => arg(2).in(...values(2)));
  builder.syscall('prctl', (arg) => arg(0).in(...values(3)));
  assert.throws(
    () => builder.build(),
    (error: unknown) =>
      error instanceof PolicyError &&
      /build: the policy needs \d+ instructions and the kernel accepts 4096; .*(socket|madvise|prctl) \d+ \(syscall\)/.test(
        error.message,
      ),
  );
  // A little less fits.
  const fits = new PolicyBuilder({ arch: 'x86-64' })
    .syscall('socket', (arg) => arg(0).in(...values(1)))
    .syscall('madvise', (arg) => arg(2).in(...values(1).slice(0, 500)))
    .build();
  if (nativeArch === 'x86-64') {
    assert.equal(
      kernelAnswers(fits, [
        { number: 41, args: [8] },
        { number: 41, args: [9] },
      ]),
      ['allow', 'violation'],
    );
  }
});

test('more rules than fit are refused quickly and with that reason, however many there are', () => {
  const isTooLong = (error: unknown) =>
    error instanceof PolicyError && /needs \d+ instructions and the kernel accepts 4096/.test(error.message);
  const chain = (rules: number, from = 0) => {
    const builder = new PolicyBuilder({ arch: 'x86-64' });
    for (let index = from; index < from + rules; index++) {
      builder.syscall('ioctl', (arg) => arg(1).eq(index * 3), index % 2 === 0 ? 'allow' : { errno: 1 });
    }
    return builder;
  };
  const fits = chain(3000).build();
  checkProgram(fits.instructions);
  assert.is(fits.evaluate({ syscall: 'ioctl', args: [0, 2999 * 3] }).action, 'errno');
  assert.is(fits.evaluate({ syscall: 'ioctl', args: [0, 3000 * 3] }).action, 'violation');
  assert.throws(() => chain(4096).build(), isTooLong);
  assert.throws(() => chain(20_000), /ioctl: more than 4096 rules for one syscall/);
  const spread = new PolicyBuilder({ arch: 'x86-64' });
  for (let index = 0; index < 30_000; index++) {
    spread.syscall(index % 300, (arg) => arg(0).u32.eq(index), { errno: 1 });
  }
  assert.throws(() => spread.build(), isTooLong);
  // Pieces of BPF, one after the other.
  const pieces = new PolicyBuilder({ arch: 'x86-64' });
  for (let piece = 0; piece < 4; piece++) {
    pieces.addPolicyOnSyscall('ioctl', [
      ARG_32(0),
      ...Array.from({ length: 1900 }, (_, index) => JEQ32(index * 7 + piece, index % 2 ? ALLOW : KILL)),
    ]);
  }
  assert.throws(() => pieces.build(), isTooLong);
  // Only syscalls that the policy itself mentions are named.
  try {
    chain(4096).build();
  } catch (error) {
    assert.match(String(error), /it has rules for 1 syscalls, .* need the most: ioctl \d+ \(syscall\)$/);
  }
});

test('a piece of BPF begins with X empty, whatever the piece before has left in it', () => {
  const policy = new PolicyBuilder({ arch: 'x86-64' })
    .addPolicyOnSyscall('getpid', [instruction(Opcode.TAX, 0)])
    .addPolicyOnSyscall('getpid', [
      instruction(Opcode.LOAD_IMMEDIATE, 0),
      instruction(Opcode.JUMP_IF_EQUAL_X, 0, 0, 1),
      ALLOW,
      KILL,
    ])
    .build();
  assert.is(policy.evaluate({ syscall: 'getpid' }).action, 'allow');
  if (nativeArch === 'x86-64') assert.equal(kernelAnswers(policy, [{ number: 39 }]), ['allow']);
});

// --- any policy ------------------------------------------------------------------------------------------------

const names = [
  'mmap',
  'socket',
  'lseek',
  'read',
  'ioctl',
  'clone',
  'prlimit64',
  'close',
  'execveat',
] as const;
const edge = fc.constantFrom(
  0n,
  1n,
  2n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 32n,
  (1n << 32n) + 1n,
  2n ** 64n - 1n,
);
const value64 = fc.oneof(edge, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 8n }));

type Say = (arg: ArgumentOf) => Condition;
const comparison: fc.Arbitrary<Say> = fc
  .record({
    arg: fc.nat(5),
    wide: fc.boolean(),
    mask: fc.option(value64, { nil: undefined }),
    op: fc.constantFrom(
      'eq',
      'ne',
      'lt',
      'le',
      'gt',
      'ge',
      'hasAny',
      'hasNone',
      'hasAll',
      'hasOnly',
      'in',
      'notIn',
    ),
    values: fc.array(value64, { minLength: 1, maxLength: 7 }),
  })
  .map(({ arg: index, wide, mask, op, values }) => (arg: ArgumentOf) => {
    const fit = (value: bigint) => BigInt.asUintN(wide ? 64 : 32, value);
    const subject = wide ? arg(index).u64 : arg(index).u32;
    const masked = mask === undefined ? subject : subject.mask(fit(mask));
    // A value outside the mask would be refused as a mistake.
    const reach = mask === undefined || op === 'hasAll' || op === 'hasOnly' ? -1n : fit(mask);
    const fitting = values.map((value) => fit(value) & reach);
    if (op === 'in' || op === 'notIn') return masked[op](...fitting);
    return masked[op](fitting[0] as bigint);
  });
const { condition } = fc.letrec<{ condition: Say }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    comparison,
    tie('condition').map((say) => (arg: ArgumentOf) => not(say(arg))),
    fc
      .array(tie('condition'), { minLength: 1, maxLength: 3 })
      .map((parts) => (arg: ArgumentOf) => allOf(...parts.map((say) => say(arg)))),
    fc
      .array(tie('condition'), { minLength: 1, maxLength: 3 })
      .map((parts) => (arg: ArgumentOf) => anyOf(...parts.map((say) => say(arg)))),
  ),
}));
const action: fc.Arbitrary<Action> = fc.constantFrom<Action>(
  'allow',
  'kill',
  'notify',
  { errno: 13 },
  { errno: 'EPERM' },
  { trap: 7 },
);

/** Straight and branching pieces, with every instruction that the kernel accepts. */
const piece: fc.Arbitrary<readonly Instruction[]> = fc
  .array(
    fc.record({
      code: fc.constantFrom(...Object.values(Opcode)),
      k: fc.oneof(
        fc.nat(63).map((k) => k * 4),
        fc.nat(15),
        fc.nat(0xffffffff),
      ),
      jt: fc.nat(5),
      jf: fc.nat(5),
      result: fc.constantFrom(
        0x7fff0000,
        0,
        0x80000000,
        0x7fc00001,
        0x7fc00000,
        0x0005000d,
        0x00030007,
        0x12340000,
      ),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .map((entries) =>
    entries.map(({ code, k, jt, jf, result }, index) => {
      const ahead = entries.length - index - 1;
      if (code === Opcode.RETURN) return instruction(code, result);
      if (code === Opcode.JUMP) return instruction(code, k % (ahead + 1));
      if ((code & 7) === 5) return instruction(code, k, jt % (ahead + 1), jf % (ahead + 1));
      // Not the instruction pointer, which evaluate() does not know.
      if (code === Opcode.LOAD) return instruction(code, k % 7 === 0 ? k & 4 : 16 + ((k % 48) & ~3));
      return instruction(code, code === Opcode.SHIFT_LEFT || code === Opcode.SHIFT_RIGHT ? k % 32 : k);
    }),
  )
  .filter((program) => {
    try {
      checkPiece(program);
      return true;
    } catch {
      return false;
    }
  });

type Step = (builder: PolicyBuilder) => PolicyBuilder;
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom(...names), condition, action, fc.boolean()).map(
    ([name, say, what, override]) =>
      (b: PolicyBuilder) =>
        b.syscall(name, say, what, { override }),
  ),
  fc.constantFrom(...names).map((name) => (b: PolicyBuilder) => b.allowSyscall(name, { override: true })),
  fc
    .constantFrom(...names)
    .map((name) => (b: PolicyBuilder) => b.overridableBlockSyscallWithErrno(name, 'EIO')),
  fc.tuple(fc.constantFrom(...names), piece, fc.boolean()).map(
    ([name, program, override]) =>
      (b: PolicyBuilder) =>
        b.addPolicyOnSyscall(name, program, { override }),
  ),
  fc.tuple(fc.constantFrom(...names), piece).map(
    ([name, program]) =>
      (b: PolicyBuilder) =>
        b.overridablePolicyOnSyscall(name, program),
  ),
  fc.constantFrom<Step>(
    (b) => b.allowNode(),
    (b) => b.allowTcMalloc(),
    (b) => b.allowDynamicStartup(),
    (b) => b.defaultAction('allowAllSyscalls'),
    (b) => b.defaultAction('traceAllSyscalls'),
  ),
);

/** A builder with the steps that do not contradict earlier ones. */
function built(arch: Arch, steps: readonly Step[], ...tokens: DangerousToken[]): PolicyBuilder {
  const builder = new PolicyBuilder({ arch }).allow(...tokens);
  for (const one of steps) {
    try {
      one(builder);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
    }
  }
  return builder;
}

const arch = fc.constantFrom<Arch>('x86-64', 'aarch64');
const steps = fc.array(step, { maxLength: 12 });
const calls = fc.array(
  fc.record({
    syscall: fc.oneof(fc.constantFrom<string | number>(...names), fc.nat(470), fc.nat(0xffffffff)),
    args: fc.array(value64, { minLength: 6, maxLength: 6 }),
  }),
  { minLength: 10, maxLength: 30 },
);

test('any policy decides as its rules say', () => {
  fc.assert(
    fc.property(arch, steps, calls, (on, made, asked) => {
      const policy = built(on, made).build();
      checkProgram(policy.instructions);
      // evaluate() compares the program with the rules.
      for (const call of asked) policy.evaluate(call);
      policy.explain();
      assert.is(policy.disassemble().trimEnd().split('\n').length, policy.instructions.length);
    }),
    { numRuns: 250 },
  );
});

/** uretprobe and uprobe: since Linux 6.14 no filter sees them, and only the kernel's own trampoline can use them. */
const unfiltered: readonly number[] = nativeArch === 'x86-64' ? [335, 336] : [];

test('the kernel accepts any policy, and decides as evaluate() says', () => {
  fc.assert(
    fc.property(steps, calls, (made, asked) => {
      const policy = built(nativeArch, made).build();
      const numbered = asked
        .map(({ syscall, args }) => ({
          number: typeof syscall === 'number' ? syscall : (syscallNumber(syscall) ?? -1),
          args,
        }))
        .filter(({ number }) => !unfiltered.includes(number));
      const answers = kernelAnswers(policy, numbered);
      numbered.forEach(({ number, args }, index) => {
        const decided = policy.evaluate({ syscall: number >>> 0, args });
        const text =
          decided.action === 'errno'
            ? describeAction({ kind: 'errno', errno: decided.errno })
            : decided.action;
        assert.is(answers[index], text, `${number}(${args})`);
      });
    }),
    { numRuns: 250 },
  );
});

test('an added allow rule takes no permission away', () => {
  const adding: fc.Arbitrary<Step> = fc.oneof(
    fc.tuple(fc.constantFrom(...names), condition).map(
      ([name, say]) =>
        (b: PolicyBuilder) =>
          b.syscall(name, say, 'allow'),
    ),
    fc.constantFrom(...names).map((name) => (b: PolicyBuilder) => b.allowSyscall(name)),
    fc.constantFrom<Step>(
      (b) => b.allowNode(),
      (b) => b.allowTcMalloc(),
      (b) => b.allowScudoMalloc(),
      (b) => b.allowStaticStartup(),
      (b) => b.allowLlvmSanitizers(),
      (b) => b.allowSystemMalloc(),
      (b) => b.allowSafeFcntl(),
      (b) => b.allowFork(),
    ),
  );
  fc.assert(
    fc.property(arch, steps, adding, calls, (on, made, added, asked) => {
      const builder = built(on, made);
      const before = builder.build();
      try {
        added(builder);
      } catch (error) {
        if (error instanceof PolicyError) return; // it contradicts another rule, so nothing is built
        throw error;
      }
      const after = builder.build();
      for (const call of asked) {
        if (before.evaluate(call).action === 'allow') assert.is(after.evaluate(call).action, 'allow');
      }
    }),
    { numRuns: 200 },
  );
});

test('no helper takes a permission away from a default that allows or notifies', () => {
  const helpers = Object.entries(new PolicyBuilder()).filter(([name]) => name.startsWith('allow'));
  const args = ['allowMmap', 'allowMprotect', 'allowPkeyMprotect', 'allowDynamicStartup'];
  assert.ok(helpers.length > 60);
  for (const on of ['x86-64', 'aarch64'] as const) {
    for (const token of ['allowAllSyscalls', 'traceAllSyscalls'] as const) {
      const before = new PolicyBuilder({ arch: on }).defaultAction(token).build();
      for (const [name] of helpers) {
        const builder = new PolicyBuilder({ arch: on });
        const given = args.includes(name) ? ['allowMapExec'] : name === 'allowFutexOp' ? [1] : [];
        (builder as unknown as Record<string, (...given: unknown[]) => unknown>)[name]?.(...given);
        const after = builder.defaultAction(token).build();
        for (let number = 0; number < 480; number++) {
          for (const value of [0n, 1n, 0xffffffffn, 0x5401n]) {
            const call = { syscall: number, args: Array.from({ length: 6 }, () => value) };
            const [was, is] = [before.evaluate(call).action, after.evaluate(call).action];
            const isLess = is !== was && is !== 'allow' && was !== 'violation';
            assert.not.ok(isLess, `${name} under ${token}: ${number} was ${was} and is ${is}`);
          }
        }
      }
    }
  }
  // Calls that no default allows still fail with an errno, so that a program goes on without them.
  const node = new PolicyBuilder().allowNode().defaultAction('allowAllSyscalls').build();
  assert.is(node.evaluate({ syscall: 'io_uring_setup' }).action, 'errno');
  assert.is(node.evaluate({ syscall: 'setpriority' }).action, 'allow');
});

test('no policy allows or notifies a call that needs a token which was not given', () => {
  const dangerous = fc.constantFrom(
    ...Object.entries(guardedSyscalls).flatMap(([token, list]) =>
      list.map((name) => ({ token: token as DangerousToken, name: name as string })),
    ),
  );
  const everyWay = (name: string, program: readonly Instruction[], say: Say): readonly Step[] => [
    (b) => b.allowSyscall(name),
    (b) => b.allowSyscall(name, { override: true }),
    (b) => b.syscall(name, say, 'allow'),
    (b) => b.syscall(name, say, 'notify', { override: true }),
    (b) => b.addPolicyOnSyscall(name, program),
    (b) => b.addPolicyOnSyscalls([name, 'read'], program),
    (b) => b.overridablePolicyOnSyscall(name, program),
    (b) => b.defaultAction('allowAllSyscalls'),
  ];
  fc.assert(
    fc.property(
      arch,
      steps,
      dangerous,
      piece,
      condition,
      value64,
      (on, made, { name }, program, say, value) => {
        if (syscallNumber(name, on) === undefined) return;
        const policy = built(on, [...made, ...everyWay(name, program, say), ...made]).build();
        const args = Array.from({ length: 6 }, () => value);
        const decided = policy.evaluate({ syscall: name, args });
        assert.not.ok(
          ['allow', 'notify', 'launch'].includes(decided.action),
          `${name}: ${decided.rule.text}`,
        );
      },
    ),
    { numRuns: 200 },
  );
});

test.run();
