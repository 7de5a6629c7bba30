// Rules as expressions, and what evaluate() returns for them.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ALLOW,
  ARG_32,
  allOf,
  anyOf,
  type Condition,
  JEQ32,
  KILL,
  NOTIFY,
  not,
  PolicyBuilder,
} from '../../host/index.js';
import type { Expression } from '../../host/policy/rule-builder.js';

const test = suite('expressions');
const upper = 0xabcdefn << 32n;

function allows(syscall: string, expression: Expression, ...args: (number | bigint)[]): boolean {
  const policy = new PolicyBuilder({ arch: 'x86-64' }).syscall(syscall, expression).build();
  return policy.evaluate({ syscall, args }).action === 'allow';
}

test('an int is compared by its lower half, a size by all of it', () => {
  assert.ok(allows('socket', (arg) => arg(0).in(1, 2), 2));
  assert.ok(allows('socket', (arg) => arg(0).in(1, 2), upper | 2n));
  assert.not.ok(allows('socket', (arg) => arg(0).in(1, 2), 10));
  assert.ok(allows('mmap', (arg) => arg(1).eq(4096), 0, 4096));
  assert.not.ok(allows('mmap', (arg) => arg(1).eq(4096), 0, upper | 4096n));
  assert.ok(allows('openat', (arg) => arg(0).eq(-100), 0xffffff9c));
  assert.ok(allows('openat', (arg) => arg(0).eq(-100), -100));
  assert.not.ok(allows('read', (arg) => arg(0).u64.eq(1), upper | 1n));
  assert.ok(allows('mmap', (arg) => arg(1).u32.eq(4096), 0, upper | 4096n));
});

test('permissions are compared by the 16 bits that the kernel uses', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sandwire-mode-'));
  try {
    // The kernel itself: bits above 15 are no error and have no effect.
    const made = path.join(directory, 'made');
    mkdirSync(made, { mode: 0x10000 | 0o700 });
    assert.is(statSync(made).mode & 0o7777, 0o700);
    chmodSync(made, 0x10000 | 0o755);
    assert.is(statSync(made).mode & 0o7777, 0o755);
  } finally {
    rmSync(directory, { recursive: true });
  }
  const modes = Object.entries({
    chmod: 1,
    fchmod: 1,
    fchmodat: 2,
    fchmodat2: 2,
    mkdir: 1,
    mkdirat: 2,
    mknod: 1,
    mknodat: 2,
    creat: 1,
    open: 2,
    openat: 3,
    mq_open: 2,
  });
  for (const [syscall, index] of modes) {
    const args = (mode: number | bigint) =>
      Array.from({ length: index + 1 }, (_, at) => (at === index ? mode : 0));
    for (const above of [0n, 0x10000n, 0xffff0000n, upper]) {
      const mode = above | 0o4755n;
      assert.ok(
        allows(syscall, (arg) => arg(index).eq(0o4755), ...args(mode)),
        syscall,
      );
      assert.ok(
        allows(syscall, (arg) => arg(index).in(1, 0o4755), ...args(mode)),
        syscall,
      );
      assert.ok(
        allows(syscall, (arg) => arg(index).hasAny(0o6000), ...args(mode)),
        syscall,
      );
      assert.ok(
        allows(syscall, (arg) => arg(index).hasOnly(0o4777), ...args(mode)),
        syscall,
      );
      assert.ok(
        allows(syscall, (arg) => arg(index).le(0o4755), ...args(mode)),
        syscall,
      );
      assert.ok(
        allows(syscall, (arg) => arg(index).mask(0o777).eq(0o755), ...args(mode)),
        syscall,
      );
      assert.is(
        allows(syscall, (arg) => arg(index).u32.eq(0o4755), ...args(mode)),
        (mode & 0xffffffffn) === 0o4755n,
      );
      assert.is(
        allows(syscall, (arg) => arg(index).u64.eq(0o4755), ...args(mode)),
        above === 0n,
      );
    }
    assert.throws(() => allows(syscall, (arg) => arg(index).eq(0x10000 | 0o777)), /is never 0x101ff/);
  }
  // These are not permissions: the kernel uses all 32 bits.
  assert.not.ok(allows('access', (arg) => arg(1).eq(4), 0, 0x10004));
});

test('every comparison, at the edges', () => {
  const edges = [0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, 0x100000001n, 2n ** 64n - 1n];
  for (const value of edges) {
    for (const given of edges) {
      const check = (
        name: string,
        expression: (arg: Parameters<Expression>[0]) => Condition,
        expected: boolean,
      ) => assert.is(allows('mmap', expression, 0, given), expected, `${given} ${name} ${value}`);
      check('==', (arg) => arg(1).eq(value), given === value);
      check('!=', (arg) => arg(1).ne(value), given !== value);
      check('<', (arg) => arg(1).lt(value), given < value);
      check('<=', (arg) => arg(1).le(value), given <= value);
      check('>', (arg) => arg(1).gt(value), given > value);
      check('>=', (arg) => arg(1).ge(value), given >= value);
      check('has any', (arg) => arg(1).hasAny(value), (given & value) !== 0n);
      check('has none', (arg) => arg(1).hasNone(value), (given & value) === 0n);
      check('has all', (arg) => arg(1).hasAll(value), (given & value) === value);
      check('has only', (arg) => arg(1).hasOnly(value), (given & ~value & (2n ** 64n - 1n)) === 0n);
      check('masked', (arg) => arg(1).mask(0xff000000ffn).le(value), (given & 0xff000000ffn) <= value);
      const twice = (arg: Parameters<Expression>[0]) =>
        arg(1)
          .mask(0xff000000ffn)
          .mask(0x0f0n)
          .eq(value & 0xf0n);
      check('masked twice', twice, (given & 0xf0n) === (value & 0xf0n));
    }
  }
});

test('many values', () => {
  const values = Array.from(
    { length: 100 },
    (_, index) => BigInt(index * 7) + (index % 3 === 0 ? upper : 0n),
  );
  const policy = new PolicyBuilder({ arch: 'x86-64' }).syscall('mmap', (arg) => arg(0).in(...values)).build();
  for (let given = 0n; given < 710n; given++) {
    for (const value of [given, given | upper]) {
      const { action } = policy.evaluate({ syscall: 'mmap', args: [value] });
      assert.is(action, values.includes(value) ? 'allow' : 'violation', String(value));
    }
  }
});

test('together', () => {
  const expression: Expression = (arg) => [
    anyOf(arg(0).eq(1), arg(0).eq(2)),
    not(allOf(arg(1).eq(3), arg(2).between(5, 7))),
  ];
  assert.ok(allows('socket', expression, 1, 0, 6));
  assert.ok(allows('socket', expression, 2, 3, 8));
  assert.not.ok(allows('socket', expression, 2, 3, 5));
  assert.not.ok(allows('socket', expression, 3, 0, 0));
  assert.ok(allows('socket', (arg) => arg(0).notIn(1, 2), 3));
});

test('each action', () => {
  const policy = new PolicyBuilder({ arch: 'x86-64' })
    .syscall('socket', (arg) => arg(0).eq(1), 'notify')
    .syscall('socket', (arg) => arg(0).eq(2), { errno: 'EACCES' })
    .syscall('socket', (arg) => arg(0).eq(3), { trap: 7 })
    .syscall('socket', (arg) => arg(0).eq(4), 'kill')
    .syscall('socket', (arg) => arg(0).eq(5))
    .syscall(['connect', 'bind'], 'notify')
    .syscall('getpid', { errno: 13 })
    .build();
  const say = (family: number) => policy.evaluate({ syscall: 'socket', args: [family] });
  assert.equal(say(1), { action: 'notify', rule: { by: 'syscall', text: 'notify when arg 0 == 1' } });
  assert.equal(say(2), {
    action: 'errno',
    errno: 13,
    errnoName: 'EACCES',
    rule: { by: 'syscall', text: 'errno EACCES when arg 0 == 2' },
  });
  assert.equal(say(3), { action: 'trap', data: 7, rule: { by: 'syscall', text: 'trap 7 when arg 0 == 3' } });
  assert.equal(say(4).rule, { by: 'syscall', text: 'violation when arg 0 == 4' });
  assert.is(say(4).action, 'violation');
  assert.is(say(5).action, 'allow');
  assert.equal(say(6), { action: 'violation', rule: { by: 'defaultAction', text: 'violation' } });
  assert.is(policy.evaluate({ syscall: 'connect' }).action, 'notify');
  assert.equal([...policy.notifiedSyscalls].sort(), ['bind', 'connect', 'socket']);
  assert.not.ok(policy.notifiesByDefault);
});

test('a notification by raw BPF, and by default', () => {
  const policy = new PolicyBuilder().addPolicyOnSyscall('getpid', [NOTIFY]).build();
  assert.equal(policy.notifiedSyscalls, ['getpid']);
  assert.is(policy.evaluate({ syscall: 'getpid' }).action, 'notify');
  const all = new PolicyBuilder().defaultAction('traceAllSyscalls').allowExit().build();
  assert.ok(all.notifiesByDefault);
  assert.is(all.evaluate({ syscall: 'read' }).action, 'notify');
  assert.is(all.evaluate({ syscall: 'exit' }).action, 'allow');
  assert.is(all.evaluate({ syscall: 'ptrace' }).action, 'violation');
});

test('order, contradiction and override', () => {
  const made = (build: (builder: PolicyBuilder) => PolicyBuilder) =>
    build(new PolicyBuilder({ arch: 'x86-64' })).build();
  const first = made((b) => b.syscall('read', (arg) => arg(0).eq(0), { errno: 'EIO' }).allowRead());
  assert.is(first.evaluate({ syscall: 'read' }).action, 'errno');
  assert.is(first.evaluate({ syscall: 'read', args: [1] }).action, 'allow');
  assert.throws(
    () => made((b) => b.allowRead().blockSyscallWithErrno('read', 'EPERM')),
    /PolicyBuilder\.blockSyscallWithErrno: read: errno EPERM contradicts allowRead, which said allow/,
  );
  assert.throws(
    () => made((b) => b.blockSyscallWithErrno('read', 'EPERM').allowRead()),
    /PolicyBuilder\.allowRead: read: allow contradicts blockSyscallWithErrno, which said errno EPERM/,
  );
  assert.throws(
    () => made((b) => b.allowRead().addPolicyOnSyscall('read', [KILL])),
    /addPolicyOnSyscall: read: violation contradicts allowRead/,
  );
  assert.throws(
    () => made((b) => b.allowRead().syscall('read', (arg) => arg(0).eq(0), 'kill')),
    /syscall: read: this rule would never be reached, because allowRead said allow/,
  );
  const overridden = made((b) => b.allowRead().blockSyscallWithErrno('read', 'EPERM', { override: true }));
  assert.is(overridden.evaluate({ syscall: 'read' }).rule.by, 'blockSyscallWithErrno');
  assert.is(overridden.evaluate({ syscall: 'pread64' }).action, 'allow');
  const narrowed = made((b) =>
    b.allowRead().syscall('read', (arg) => arg(0).eq(0), 'allow', { override: true }),
  );
  assert.is(narrowed.evaluate({ syscall: 'read', args: [1] }).action, 'violation');
  // A repetition is not a contradiction, and where a preset allows under conditions, a block wins.
  made((b) => b.allowRead().allowRead().allowSyscall('read').addPolicyOnSyscall('read', [ALLOW]));
  const blocked = made((b) => b.blockSyscallWithErrno('mremap', 'ENOSYS').allowSystemMalloc());
  assert.is(blocked.evaluate({ syscall: 'mremap', args: [0, 0, 0, 1] }).action, 'errno');
});

test('overridable rules count only if no other rule decides', () => {
  const policy = new PolicyBuilder({ arch: 'x86-64' })
    .overridableBlockSyscallWithErrno('umask', 'EXDEV')
    .overridablePolicyOnSyscall('getpid', [KILL])
    .syscall('umask', (arg) => arg(0).eq(1), { errno: 'EPERM' })
    .allowStaticStartup()
    .defaultAction('allowAllSyscalls')
    .build();
  const errno = (syscall: string, ...args: number[]) => {
    const decided = policy.evaluate({ syscall, args });
    return decided.action === 'errno' ? decided.errnoName : decided.action;
  };
  assert.is(errno('umask', 1), 'EPERM');
  assert.is(errno('umask', 2), 'EXDEV');
  // A helper's errno gives way to a default that allows; see below.
  assert.is(errno('readlink'), 'allow');
  assert.is(errno('getpid'), 'violation');
  assert.is(errno('getppid'), 'allow');
});

test('an allow under conditions after a refusal of all calls is an error, but a preset’s yields', () => {
  const builder = () => new PolicyBuilder({ arch: 'x86-64' }).blockSyscallWithErrno('mremap', 'EPERM');
  assert.throws(
    () => builder().syscall('mremap', (arg) => arg(3).eq(1)),
    /syscall: mremap: this rule would never be reached, because blockSyscallWithErrno said errno EPERM/,
  );
  assert.throws(
    () => builder().addPolicyOnSyscall('mremap', [ARG_32(3), JEQ32(1, ALLOW)]),
    /never be reached/,
  );
  builder().allowSystemMalloc().build();
  // After an allow it changes nothing.
  new PolicyBuilder().allowSyscall('mremap').syscall('mremap', (arg) => arg(3).eq(1));
});

test('a refused call of the builder changes nothing, and says what would help', () => {
  const builder = new PolicyBuilder({ arch: 'x86-64' }).blockSyscallWithErrno('futex', 'EPERM');
  const before = JSON.stringify(builder.build());
  assert.throws(
    () => builder.allowNode(),
    /allowNode: futex: allow contradicts .*; to make the earlier one count, call it after allowNode\(\), with \{ override: true \}/,
  );
  assert.throws(() => builder.allowSyscalls(['read', 'nosuch']), /no syscall "nosuch"/);
  assert.throws(() => builder.allowSyscalls(['read', 'ptrace']), /ptrace can only be allowed/);
  assert.throws(() => builder.allow('allowBpf', 'allowNothing' as never), /no token "allowNothing"/);
  builder.useForkServerSharedNetNs();
  assert.throws(() => builder.allow('allowBpf', 'allowUnrestrictedNetworking'), /exclude each other/);
  assert.is(JSON.stringify(builder.build()), before.replace('"private"', '"forkServerShared"'));
  const policy = new PolicyBuilder()
    .allowNode()
    .blockSyscallWithErrno('futex', 'EPERM', { override: true })
    .build();
  assert.is(policy.evaluate({ syscall: 'futex' }).action, 'errno');
});

test('override removes overridable rules, too', () => {
  const policy = new PolicyBuilder({ arch: 'x86-64' })
    .allowStaticStartup()
    .syscall('readlink', (arg) => arg(2).eq(1), 'kill', { override: true })
    .build();
  assert.is(policy.evaluate({ syscall: 'readlink' }).rule.by, 'defaultAction');
  assert.is(policy.evaluate({ syscall: 'readlinkat' }).action, 'errno');
});

test('slips', () => {
  const slip = (build: (builder: PolicyBuilder) => unknown, pattern: RegExp) =>
    assert.throws(() => build(new PolicyBuilder({ arch: 'x86-64' })), pattern);
  slip((b) => b.syscall('no_such'), /there is no syscall "no_such"/);
  slip((b) => b.syscall([]), /the list of syscalls is empty/);
  slip((b) => b.allowSyscalls([]), /the list of syscalls is empty/);
  slip((b) => b.syscall('read', (arg) => arg(6).eq(0)), /not 6$/);
  slip((b) => b.syscall('read', (arg) => arg(0).eq(2 ** 33)), /does not fit into the 32 bits of arg\(0\)/);
  slip((b) => b.syscall('read', (arg) => arg(0).eq(0.5)), /not a whole number/);
  slip((b) => b.syscall('read', (arg) => arg(0).lt(-1)), /unsigned/);
  slip((b) => b.syscall('read', (arg) => arg(0).in()), /at least one value/);
  slip((b) => b.syscall('uselib', (arg) => arg(0).eq(1)), /write arg\(0\)\.u32 or arg\(0\)\.u64/);
  slip((b) => b.syscall('read', () => true as never), /must return a condition/);
  slip((b) => b.syscall('read', () => undefined as never), /must return a condition/);
  slip((b) => b.syscall('read', 'deny' as never), /an action must be/);
  slip((b) => b.syscall('read', { errno: 'ENOTHING' }), /"ENOTHING" is not an errno/);
  slip((b) => b.syscall('read', { trap: 70000 }), /0 to 65535/);
  // No condition at all would hold for every call.
  slip((b) => b.syscall('read', () => []), /a list of conditions needs at least one/);
  slip((b) => b.syscall('read', () => allOf()), /allOf\(\) needs at least one/);
  slip((b) => b.syscall('read', () => not(anyOf())), /anyOf\(\) needs at least one/);
  const nothing: Condition = { kind: 'all', of: [] };
  const always: Condition = { kind: 'always' };
  slip((b) => b.syscall('read', () => nothing), /a list of conditions needs/);
  slip((b) => b.syscall('read', () => always), /must return a condition/);
  slip((b) => b.syscall('read', () => not(always)), /must return a condition/);
  assert.throws(() => allOf(), RangeError);
  assert.throws(() => anyOf(), RangeError);
  // A condition that no call can meet.
  slip((b) => b.syscall('openat', (arg) => arg(2).mask(3).eq(4)), /arg\(2\) & 3 is never 4/);
  slip((b) => b.syscall('openat', (arg) => arg(2).mask(3).ne(4)), /is never/);
  slip((b) => b.syscall('openat', (arg) => arg(2).mask(3).in(1, 4)), /is never/);
  slip((b) => b.syscall('openat', (arg) => not(arg(2).mask(3).notIn(1, 4))), /is never/);
  slip((b) => b.syscall('openat', (arg) => arg(2).mask(3).hasAny(5)), /not all bits of 0x5/);
  slip((b) => b.syscall('openat', (arg) => arg(2).mask(3).hasAll(5)), /is never/);
  slip(
    (b) => b.syscall('prctl', (arg) => arg(1).u64.mask(0xffffffff00000000n).u32.eq(1)),
    /the mask 0xffffffff00000000 does not fit into 32 bits/,
  );
  slip((b) => b.allowSyscall(-1), /not a syscall number/);
  slip((b) => b.allowSyscall(0x40000000), /not a syscall number/);
  slip((b) => b.addPolicyOnSyscall('read', []), /there is no instruction/);
  slip(
    (b) => b.addPolicyOnSyscall('read', [{ code: 0x28, jt: 0, jf: 0, k: 0 }]),
    /not an instruction that seccomp accepts/,
  );
  slip((b) => b.addPolicyOnSyscall('read', [{ code: 0x16, jt: 0, jf: 0, k: 0 }]), /a policy cannot return A/);
  slip((b) => b.addPolicyOnSyscall('read', [{ code: 0x3c, jt: 0, jf: 0, k: 0 }]), /X may be 0/);
  assert.throws(() => new PolicyBuilder().build().evaluate({ syscall: 'no_such' }), RangeError);
});

test.run();
