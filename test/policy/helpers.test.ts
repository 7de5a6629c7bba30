// Compares every helper of the builder with a table of what it allows: by evaluate() on both architectures for every
// existing syscall, and on x86-64 by the kernel itself.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arch, type Evaluation, type Policy, PolicyBuilder } from '../../host/index.js';
import { isSyscallName, nativeArch, syscallNumber } from '../../host/policy/syscalls.js';
import { syscallsAarch64 } from '../../host/policy/tables/syscalls-aarch64.generated.js';
import { syscallsX8664 } from '../../host/policy/tables/syscalls-x86-64.generated.js';
import { type Helper, helpers } from './helper-table.js';
import { kernelAnswers } from './kernel.js';

const test = suite('helpers');
const tables: Readonly<Record<Arch, Readonly<Record<string, number>>>> = {
  'x86-64': syscallsX8664,
  aarch64: syscallsAarch64,
};
const arches = Object.keys(tables) as Arch[];

/** Argument values to stand for any: zeros, all bits, odd ones. */
const anyArguments: readonly (readonly (number | bigint)[])[] = [
  [],
  [-1, -1, -1, -1, -1, -1],
  [3, 0x7fff0000, 0x123, 0x10, 0x41, 7],
];

interface Expected {
  readonly syscall: string;
  readonly args: readonly (number | bigint)[];
  readonly action: string;
}

/** What the table expects for every syscall of an architecture. */
function expectations(helper: Helper, arch: Arch): readonly Expected[] {
  const all = new Set((helper.all ?? '').split(' ').filter((name) => name !== ''));
  const named = [
    ...all,
    ...[helper.some, helper.none, helper.errno].flatMap((part) => Object.keys(part ?? {})),
  ];
  for (const name of named) assert.ok(isSyscallName(name), `${name} is in no table`);
  return Object.keys(tables[arch]).flatMap((syscall): Expected[] => {
    const rest = helper.errno?.[syscall];
    const otherwise = rest === undefined ? 'violation' : `errno ${rest}`;
    if (all.has(syscall)) return anyArguments.map((args) => ({ syscall, args, action: 'allow' }));
    const some = (helper.some?.[syscall] ?? []).map((args) => ({ syscall, args, action: 'allow' }));
    const none = (helper.none?.[syscall] ?? []).map((args) => ({ syscall, args, action: otherwise }));
    if (some.length > 0 || none.length > 0) return [...some, ...none];
    if (syscall === 'clone3') return [{ syscall, args: [], action: 'errno ENOSYS' }];
    return anyArguments.map((args) => ({ syscall, args, action: otherwise }));
  });
}

function text(decided: Evaluation): string {
  return decided.action === 'errno' ? `errno ${decided.errnoName ?? decided.errno}` : decided.action;
}

function policyOf(helper: Helper, arch: Arch): Policy {
  return helper.call(new PolicyBuilder({ arch })).build();
}

for (const arch of arches) {
  test(`as the table says, on ${arch}`, () => {
    for (const helper of helpers) {
      const policy = policyOf(helper, arch);
      for (const { syscall, args, action } of expectations(helper, arch)) {
        const decided = policy.evaluate({ syscall, args });
        assert.is(text(decided), action, `${helper.method}: ${syscall}(${args.join(', ')})`);
        if (action === 'allow') assert.is(decided.rule.by, helper.method);
      }
    }
  });
}

test('as the table says, by the kernel', () => {
  for (const helper of helpers) {
    const expected = expectations(helper, nativeArch);
    const calls = expected.map(({ syscall, args }) => ({ number: syscallNumber(syscall) ?? -1, args }));
    const answers = kernelAnswers(policyOf(helper, nativeArch), calls);
    expected.forEach(({ syscall, args, action }, index) => {
      assert.is(answers[index], action, `${helper.method}: ${syscall}(${args.join(', ')})`);
    });
  }
});

test('no helper is missing from the table, and each can be chained', () => {
  const builder = new PolicyBuilder();
  const names = [...Object.keys(builder), ...Object.getOwnPropertyNames(PolicyBuilder.prototype)].filter(
    (name) => /^allow[A-Z]/.test(name),
  );
  // Helpers with tests of their own: by name, with a token, for runtimes.
  const elsewhere = [
    ...['allowUnrestrictedNetworking', 'allowNode', 'allowLlvmSanitizers', 'allowLlvmCoverage'],
    ...['allowSyscall', 'allowSyscalls'],
  ];
  const inTable = new Set(helpers.map(({ method }) => method));
  assert.equal(
    names.filter((name) => !inTable.has(name) && !elsewhere.includes(name)),
    [],
  );
  for (const helper of helpers) {
    const made = new PolicyBuilder();
    assert.is(helper.call(made), made, helper.method);
  }
});

test('two helpers in either order allow what both allow, and a second time nothing more', () => {
  for (const arch of arches) {
    for (const helper of helpers) {
      const once = policyOf(helper, arch);
      const twice = helper.call(helper.call(new PolicyBuilder({ arch }))).build();
      assert.equal(twice.program, once.program, `${helper.method} twice`);
      const before = helper.call(new PolicyBuilder({ arch }).allowSystemMalloc()).build();
      const after = helper.call(new PolicyBuilder({ arch })).allowSystemMalloc().build();
      for (const { syscall, args, action } of expectations(helper, arch)) {
        if (action !== 'allow') continue;
        assert.is(before.evaluate({ syscall, args }).action, 'allow', helper.method);
        assert.is(after.evaluate({ syscall, args }).action, 'allow', helper.method);
      }
    }
  }
});

test('coverage is allowed if the environment asks for it', () => {
  const saved = { ...process.env };
  try {
    delete process.env['COVERAGE'];
    assert.is(
      new PolicyBuilder().allowLlvmCoverage().build().evaluate({ syscall: 'open' }).action,
      'violation',
    );
    process.env['COVERAGE'] = '1';
    delete process.env['COVERAGE_DIR'];
    const without = new PolicyBuilder().allowLlvmCoverage().build();
    assert.is(without.evaluate({ syscall: 'openat' }).action, 'allow');
    assert.equal(without.mounts, []);
    process.env['COVERAGE_DIR'] = '/var';
    const [mount] = new PolicyBuilder().allowLlvmCoverage().build().mounts;
    assert.ok(mount?.kind === 'directory' && mount.writable && mount.inside === '/var');
  } finally {
    process.env['COVERAGE'] = saved['COVERAGE'];
    process.env['COVERAGE_DIR'] = saved['COVERAGE_DIR'];
    if (saved['COVERAGE'] === undefined) delete process.env['COVERAGE'];
    if (saved['COVERAGE_DIR'] === undefined) delete process.env['COVERAGE_DIR'];
  }
});

test.run();
