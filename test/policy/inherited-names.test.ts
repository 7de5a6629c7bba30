// A property name that every JavaScript object inherits is not a name of anything here: everything that accepts a name
// is tried with all of them.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Arch,
  type DangerousToken,
  ERRNO,
  JUMP,
  KILL,
  LABEL,
  Policy,
  PolicyBuilder,
  PolicyError,
  SYS,
} from '../../host/index.js';
import { compile, type Filter } from '../../host/policy/filter.js';
import { allowAll, Rules } from '../../host/policy/rules.js';
import { isSyscallName, syscallNumber } from '../../host/policy/syscalls.js';
import { guardedSyscalls } from '../../host/policy/tokens.js';

const test = suite('inherited names');

const inherited = [
  ...new Set(
    [Object, Function, Array, String, Number, Map, Set].flatMap((made) => [
      ...Object.getOwnPropertyNames(made.prototype),
      ...Object.getOwnPropertyNames(made),
    ]),
  ),
].filter((name) => !Object.hasOwn(SYS, name));

test('there are such words, and none is a syscall', () => {
  for (const name of ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__', 'length']) {
    assert.ok(inherited.includes(name), name);
  }
  for (const name of inherited) {
    assert.is(syscallNumber(name, 'x86-64'), undefined, name);
    assert.is(syscallNumber(name, 'aarch64'), undefined, name);
    assert.not.ok(isSyscallName(name), name);
    assert.is(SYS[name], undefined, name);
  }
});

test('everything that accepts a name refuses them, and the policy stays as it was', () => {
  const takes: Readonly<Record<string, (builder: PolicyBuilder, name: string) => unknown>> = {
    allowSyscall: (b, name) => b.allowSyscall(name),
    allowSyscalls: (b, name) => b.allowSyscalls([name]),
    blockSyscallWithErrno: (b, name) => b.blockSyscallWithErrno(name, 'EPERM'),
    blockSyscallsWithErrno: (b, name) => b.blockSyscallsWithErrno([name], 'EPERM'),
    overridableBlock: (b, name) => b.overridableBlockSyscallWithErrno(name, 'EPERM'),
    addPolicyOnSyscall: (b, name) => b.addPolicyOnSyscall(name, [KILL]),
    addPolicyOnSyscalls: (b, name) => b.addPolicyOnSyscalls([name], [KILL]),
    overridablePolicyOnSyscall: (b, name) => b.overridablePolicyOnSyscall(name, [KILL]),
    syscall: (b, name) => b.syscall(name),
    'syscall with a condition': (b, name) => b.syscall(name, (arg) => arg(0).u32.eq(0)),
    'an errno': (b, name) => b.blockSyscallWithErrno('umask', name),
    'an action’s errno': (b, name) => b.syscall('umask', { errno: name }),
    'an action': (b, name) => b.syscall('umask', name as never),
    allow: (b, name) => b.allow(name as DangerousToken),
    defaultAction: (b, name) => b.defaultAction(name as never),
    allowRestartableSequences: (b, name) => b.allowRestartableSequences(name as never),
    allowMmap: (b, name) => b.allowMmap(name as never),
    'a jump': (b, name) => b.addPolicyOnSyscall('umask', [JUMP(name), LABEL('other')]),
  };
  const untouched = (builder: PolicyBuilder) => builder.defaultAction('allowAllSyscalls').build().program;
  const expected = untouched(new PolicyBuilder());
  for (const [what, take] of Object.entries(takes)) {
    for (const name of inherited) {
      const builder = new PolicyBuilder();
      assert.throws(
        () => take(builder, name),
        (error: unknown) => error instanceof PolicyError && !/native code|\[object/.test(error.message),
        `${what} ${name}`,
      );
      assert.equal(untouched(builder), expected, `${what} ${name}`);
    }
  }
  for (const name of inherited) assert.throws(() => ERRNO(name), RangeError, name);
});

test('a policy asked about them, or read with them', () => {
  const policy = new PolicyBuilder().allowStaticStartup().build();
  const text = JSON.stringify(policy);
  for (const name of inherited) {
    assert.throws(() => policy.evaluate({ syscall: name }), RangeError, name);
    assert.throws(() => policy.evaluate({ syscall: 'read', arch: name as Arch }), RangeError, name);
    assert.throws(
      () => new PolicyBuilder({ arch: name as Arch }),
      (error: unknown) => error instanceof PolicyError,
      name,
    );
    const key = `${JSON.stringify(name)}:`;
    for (const [field, value] of [
      ['syscalls', '[{"by":"allowSyscall","do":"allow"}]'],
      ['overridable', '[{"by":"allowSyscall","do":"allow"}]'],
      ['stackTraces', 'true'],
    ] as const) {
      const changed = text.replace(`"${field}":{`, `"${field}":{${key}${value},`).replace(',}', '}');
      assert.throws(
        () => Policy.fromJSON(changed),
        (error: unknown) =>
          error instanceof PolicyError && /no syscall of this name|there is no field/.test(error.message),
        `${field} ${name}`,
      );
    }
    assert.throws(
      () => Policy.fromJSON(text.replace('{"sandwirePolicy"', `{${key}1,"sandwirePolicy"`)),
      /there is no field/,
      name,
    );
    for (const [was, made] of [
      ['"arch":"', `"arch":${JSON.stringify(name)},"was":"`],
      ['"tokens":[', `"tokens":[${JSON.stringify(name)}`],
      ['"networking":"private"', `"networking":${JSON.stringify(name)}`],
      ['"defaultAction":"violation"', `"defaultAction":${JSON.stringify(name)}`],
    ] as const) {
      assert.throws(
        () => Policy.fromJSON(text.replace(was, made)),
        (error: unknown) => error instanceof PolicyError,
        `${was} ${name}`,
      );
    }
  }
});

test('a rule never gets an invalid number, and the compiler would notice', () => {
  const slips: unknown[] = [
    Number.NaN,
    -1,
    0.5,
    2 ** 32,
    undefined,
    null,
    '1',
    Object,
    Number.POSITIVE_INFINITY,
  ];
  for (const slip of slips) {
    const rules = new Rules();
    assert.throws(
      () => rules.add([{ number: slip as number, name: 'x', rule: allowAll('x') }]),
      /bug in sandwire/,
    );
    assert.throws(
      () => rules.addOverridable([{ number: slip as number, name: 'x', rule: allowAll('x') }]),
      /bug in sandwire/,
    );
    const filter: Filter = {
      arch: 'x86-64',
      rules: {
        numbers: new Set([slip as number, 3]),
        of: () => [allowAll('x')],
        overridableOf: () => [],
      },
      tokens: new Set(),
      landlockOnly: false,
      makesSockets: false,
      defaultAction: { kind: 'violation' },
    };
    assert.throws(() => compile(filter), /bug in sandwire/, String(slip));
  }
});

test('what needs a token is refused under every default, whatever was tried before', () => {
  const builder = new PolicyBuilder().defaultAction('allowAllSyscalls');
  for (const name of inherited) {
    try {
      builder.blockSyscallWithErrno(name, 'EPERM');
    } catch {
      // expected
    }
  }
  const policy = builder.blockSyscallsWithErrno(['openat', 'read'], 'EPERM').build();
  for (const syscall of Object.values(guardedSyscalls).flat()) {
    if (syscallNumber(syscall, policy.arch) === undefined || syscall === 'clone3') continue;
    assert.is(policy.evaluate({ syscall }).action, 'violation', syscall);
  }
});

test.run();
