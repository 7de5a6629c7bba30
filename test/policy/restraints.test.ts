// What stays refused although a policy allows it, with an errno: what tells of the network of sockets that were given, or
// gets hold of who is at their other end.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ALLOW, ARG_32, type Arch, ERRNO, JEQ32, KILL, Policy, PolicyBuilder } from '../../host/index.js';
import { nativeArch, syscallNumber } from '../../host/policy/syscalls.js';
import { type Call, kernelAnswers } from './kernel.js';

const test = suite('restraints');
const arches: readonly Arch[] = ['x86-64', 'aarch64'];
const [SOL_SOCKET, IPPROTO_TCP, SO_LINGER] = [1, 6, 13];
const [TCGETS, SIOCGIFCONF, SIOCGIFNAME, SIOCETHTOOL, SIOCGSKNS] = [0x5401, 0x8912, 0x8910, 0x8946, 0x894c];
const addressing = ['bind', 'connect', 'listen'];

type Extend = (builder: PolicyBuilder) => PolicyBuilder;
const noSockets: Extend = (builder) => builder.blockSyscallsWithErrno(['socket', 'socketpair'], 'EACCES');
const allowing = (arch: Arch, extend: Extend = (builder) => builder) =>
  extend(new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls')).build();
const given = (arch: Arch, extend: Extend = (builder) => builder) =>
  allowing(arch, (builder) => noSockets(extend(builder)));

const asked = new Map<Policy, (Call & { readonly answer: string })[]>();

/** "allow", "EACCES", "violation"; the kernel is asked the same at the end. */
function answer(policy: Policy, syscall: string, ...args: (number | bigint)[]): string {
  const evaluation = policy.evaluate({ syscall, args });
  const told = evaluation.action === 'errno' ? String(evaluation.errnoName) : evaluation.action;
  if (policy.arch === nativeArch) {
    const call = { number: syscallNumber(syscall, policy.arch) ?? -1, args };
    const inKernel = evaluation.action === 'errno' ? `errno ${told}` : told;
    asked.set(policy, [...(asked.get(policy) ?? []), { ...call, answer: inKernel }]);
  }
  return told;
}

test('where no socket can be made, those that were given have no addresses', () => {
  for (const arch of arches) {
    const [without, makes] = [given(arch), allowing(arch)];
    for (const syscall of addressing) {
      for (const args of [[], [1023, 0x1000, 110], [-1n, -1n, -1n]]) {
        assert.is(answer(without, syscall, ...args), 'EACCES');
        assert.is(answer(makes, syscall, ...args), 'allow');
      }
    }
    for (const syscall of ['accept4', 'sendmsg', 'recvmsg', 'shutdown', 'getsockname', 'getpeername']) {
      assert.is(answer(without, syscall, 3), 'allow');
    }
  }
});

test('and ioctl tells nothing of interfaces', () => {
  const harmless = [0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, 0x8907, 0x894b];
  for (const arch of arches) {
    const [without, makes] = [given(arch), allowing(arch)];
    for (let request = 0x8800; request < 0x8d00; request++) {
      const isRefused = [0x89, 0x8b].includes(request >> 8) && !harmless.includes(request);
      assert.is(answer(without, 'ioctl', 3, request), isRefused ? 'EPERM' : 'allow', String(request));
      // The kernel looks at 32 bits.
      const wide = (0xdead_beefn << 32n) | BigInt(request);
      assert.is(answer(without, 'ioctl', 3, wide), isRefused ? 'EPERM' : 'allow', String(request));
      assert.is(answer(makes, 'ioctl', 3, request), request === SIOCGSKNS ? 'EPERM' : 'allow');
    }
    // As _IOR() and its like write it, whatever the size of what is there.
    for (const request of [0x80108906, 0xc0108912, 0x40208b01, 0xffff89ff]) {
      assert.is(answer(without, 'ioctl', 3, request), 'EPERM', String(request));
    }
    for (const request of [TCGETS, 0x541b, 0x5421, 0])
      assert.is(answer(without, 'ioctl', 3, request), 'allow');
  }
});

test('and of the options only harmless ones are left', () => {
  const settable = new Map([
    [SOL_SOCKET, [2, 7, 8, 9, 10, 16, 18, 20, 21, 66, 67]],
    [IPPROTO_TCP, [1, 3, 4, 5, 6, 12, 25]],
  ]);
  const told = [2, 3, 4, 6, 7, 8, 9, 10, 13, 15, 16, 17, 18, 19, 20, 21, 30, 38, 39, 42, 66, 67];
  const never = { setsockopt: [SO_LINGER, 34, 76], getsockopt: [31, 57, 71, 77] };
  for (const arch of arches) {
    const [without, makes] = [given(arch), allowing(arch)];
    for (const level of [0, 1, 2, 6, 17, 41, 80, 256, 270, 279, 0x7fffffff]) {
      for (let option = 0; option < 100; option++) {
        const args = [3, level, option, 0x1000, 4];
        const isHarmless = settable.get(level)?.includes(option) ?? false;
        assert.is(answer(without, 'setsockopt', ...args), isHarmless ? 'allow' : 'ENOPROTOOPT');
        const isTold = level === IPPROTO_TCP || (level === SOL_SOCKET && told.includes(option));
        assert.is(answer(without, 'getsockopt', ...args), isTold ? 'allow' : 'ENOPROTOOPT');
        for (const [syscall, refused] of Object.entries(never)) {
          const isRefused = level === SOL_SOCKET && refused.includes(option);
          assert.is(answer(makes, syscall, ...args), isRefused ? 'ENOPROTOOPT' : 'allow');
        }
      }
    }
    assert.is(answer(makes, 'getsockopt', 3, (5n << 32n) | 1n, (7n << 32n) | 77n), 'ENOPROTOOPT');
    assert.is(answer(without, 'setsockopt', 3, (5n << 32n) | 1n, (7n << 32n) | 36n), 'ENOPROTOOPT');
  }
});

test('no socket can be made to linger, whatever the policy allows; whether it lingers may be asked', () => {
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch });
    for (const policy of [
      given(arch),
      allowing(arch, (of) => of.allow('allowUnrestrictedNetworking', 'allowSocketControl')),
      builder().defaultAction('traceAllSyscalls').build(),
      builder().syscall('setsockopt', 'allow').syscall('socket', 'allow').build(),
      builder().syscall('setsockopt', 'allow', { override: true }).build(),
      builder().syscall('setsockopt', 'notify').build(),
    ]) {
      for (const high of [0n, 0xdeadbeefn << 32n]) {
        const args = [3, BigInt(SOL_SOCKET) | high, BigInt(SO_LINGER) | high, 0x1000, 8];
        assert.is(answer(policy, 'setsockopt', ...args), 'ENOPROTOOPT');
      }
    }
    assert.is(answer(builder().build(), 'setsockopt', 3, SOL_SOCKET, SO_LINGER), 'violation');
    assert.is(answer(allowing(arch), 'getsockopt', 3, SOL_SOCKET, SO_LINGER), 'allow');
  }
});

test('the token gives back what is of their networks, and nothing else', () => {
  for (const arch of arches) {
    const policy = given(arch, (builder) => builder.allow('allowSocketControl'));
    for (const syscall of addressing) assert.is(answer(policy, syscall, 3), 'allow');
    for (const request of [SIOCGIFCONF, SIOCETHTOOL]) assert.is(answer(policy, 'ioctl', 3, request), 'allow');
    assert.is(answer(policy, 'setsockopt', 3, SOL_SOCKET, 25), 'allow');
    assert.is(answer(policy, 'getsockopt', 3, SOL_SOCKET, 25), 'allow');
    assert.is(answer(policy, 'ioctl', 3, SIOCGSKNS), 'EPERM');
    assert.is(answer(policy, 'getsockopt', 3, SOL_SOCKET, 77), 'ENOPROTOOPT');
    assert.is(answer(policy, 'setsockopt', 3, SOL_SOCKET, 76), 'ENOPROTOOPT');
  }
});

test('what a policy does not allow is the violation that it was', () => {
  for (const arch of arches) {
    const silent = new PolicyBuilder({ arch }).allowRead().build();
    for (const syscall of [...addressing, 'setsockopt', 'getsockopt', 'ioctl']) {
      assert.is(answer(silent, syscall, 3, SOL_SOCKET, 77), 'violation', syscall);
    }
    const some = new PolicyBuilder({ arch })
      .syscall('ioctl', (arg) => arg(1).in(TCGETS, SIOCGIFNAME))
      .syscall('setsockopt', (arg) => [arg(1).eq(SOL_SOCKET), arg(2).in(7, 8)])
      .syscall('getsockopt', (arg) => [arg(1).eq(SOL_SOCKET), arg(2).in(4, 31)])
      .build();
    assert.is(answer(some, 'ioctl', 3, TCGETS), 'allow');
    // It allows one of its kind.
    assert.is(answer(some, 'ioctl', 3, SIOCGIFNAME), 'EPERM');
    assert.is(answer(some, 'ioctl', 3, SIOCGSKNS), 'EPERM');
    assert.is(answer(some, 'ioctl', 3, 0x5412), 'violation');
    assert.is(answer(some, 'setsockopt', 3, SOL_SOCKET, 8), 'allow');
    assert.is(answer(some, 'setsockopt', 3, SOL_SOCKET, 36), 'violation');
    assert.is(answer(some, 'setsockopt', 3, SOL_SOCKET, 76), 'violation');
    assert.is(answer(some, 'getsockopt', 3, SOL_SOCKET, 4), 'allow');
    assert.is(answer(some, 'getsockopt', 3, SOL_SOCKET, 31), 'ENOPROTOOPT');
  }
});

test('what it says by name is refused as well, however it says it', () => {
  const ways: readonly Extend[] = [
    (builder) => builder.allowSyscall('bind'),
    (builder) => builder.syscall('bind', 'notify'),
    (builder) => builder.syscall('bind', (arg) => arg(0).eq(3)),
    (builder) => builder.addPolicyOnSyscall('bind', [ARG_32(0), JEQ32(3, ALLOW), KILL]),
  ];
  for (const arch of arches) {
    for (const extend of ways) {
      assert.is(answer(extend(new PolicyBuilder({ arch })).build(), 'bind', 3), 'EACCES', String(extend));
      const tokened = extend(new PolicyBuilder({ arch }).allow('allowSocketControl')).build();
      assert.ok(['allow', 'notify'].includes(answer(tokened, 'bind', 3)), String(extend));
    }
  }
});

test('what it refuses itself is refused as it says', () => {
  for (const arch of arches) {
    const policy = given(arch, (builder) =>
      builder
        .blockSyscallWithErrno('connect', 'ENETUNREACH')
        .syscall('setsockopt', (arg) => arg(2).eq(36), { errno: 'EPERM' })
        .addPolicyOnSyscall('bind', [ARG_32(0), JEQ32(3, ERRNO(1))]),
    );
    assert.is(answer(policy, 'connect', 3), 'ENETUNREACH');
    assert.is(answer(policy, 'setsockopt', 3, SOL_SOCKET, 36), 'EPERM');
    assert.is(answer(policy, 'setsockopt', 3, SOL_SOCKET, 33), 'ENOPROTOOPT');
    assert.is(answer(policy, 'bind', 3), 'EPERM');
    assert.is(answer(policy, 'bind', 4), 'EACCES');
  }
});

test('Node has what it needs of its sockets', () => {
  for (const arch of arches) {
    const policy = new PolicyBuilder({ arch }).allowNode().build();
    assert.is(policy.makesSockets, false);
    for (const option of [3, 4, 7, 8])
      assert.is(answer(policy, 'getsockopt', 3, SOL_SOCKET, option), 'allow');
    assert.is(answer(policy, 'getsockopt', 3, SOL_SOCKET, 77), 'ENOPROTOOPT');
    assert.is(answer(policy, 'ioctl', 3, SIOCGIFCONF), 'ENOTTY'); // as all that it has no rule for
    assert.is(answer(policy, 'bind', 3), 'violation');
  }
});

test('a policy from a file has them too, and in words', () => {
  for (const arch of arches) {
    const policy = given(arch);
    const read = Policy.fromJSON(JSON.stringify(policy));
    assert.equal(read.program, policy.program);
    assert.not.match(JSON.stringify(policy), /bind|getsockopt/);
    const told = policy.explain();
    for (const syscall of addressing)
      assert.match(told, new RegExp(`Refused with an errno: .*${syscall} EACCES`, 's'));
    assert.not.match(allowing(arch).explain(), /bind EACCES/);
  }
});

test('and the kernel says the same', () => {
  for (const [policy, calls] of asked) {
    const answers = kernelAnswers(policy, calls);
    calls.forEach((call, index) => {
      if (call.answer !== answers[index]) {
        assert.unreachable(`${JSON.stringify(call, (_, value) => String(value))}: ${answers[index]}`);
      }
    });
  }
  assert.ok(asked.size > 10);
});

test.run();
