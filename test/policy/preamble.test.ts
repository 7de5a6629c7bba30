// What must hold under every policy, by effect: each denial, with its token and without.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arch, type DangerousToken, Policy, PolicyBuilder, PolicyError } from '../../host/index.js';
import { nativeArch, syscallNumber } from '../../host/policy/syscalls.js';
import { guardedSyscalls } from '../../host/policy/tokens.js';
import { Handshake, WireFd } from '../../protocol/wire.generated.js';
import { whyNo32BitCalls } from '../support/machine.js';
import { skip } from '../support/skip.js';
import { type Call, kernelAnswers } from './kernel.js';

const test = suite('preamble');
const arches: readonly Arch[] = ['x86-64', 'aarch64'];

const made = new Map<string, readonly Policy[]>();

/** Policies that deny all, allow all, allow all existing syscalls by name, and notify all. */
function policies(arch: Arch, ...tokens: DangerousToken[]): readonly Policy[] {
  const key = [arch, ...tokens].join();
  const present = made.get(key) ?? makePolicies(arch, tokens);
  made.set(key, present);
  return present;
}

function makePolicies(arch: Arch, tokens: readonly DangerousToken[]): readonly Policy[] {
  const names = ['close', 'execveat', 'clone', 'unshare', 'seccomp', 'ioctl'];
  return [
    new PolicyBuilder({ arch }).allow(...tokens).build(),
    new PolicyBuilder({ arch })
      .allow(...tokens)
      .defaultAction('allowAllSyscalls')
      .build(),
    new PolicyBuilder({ arch })
      .allow(...tokens)
      .allowSyscalls(names)
      .build(),
    new PolicyBuilder({ arch })
      .allow(...tokens)
      .defaultAction('traceAllSyscalls')
      .build(),
  ];
}

interface Asked extends Call {
  readonly answer: string;
}

/** The calls that were evaluated for policies of this machine: the kernel is asked the same at the end. */
const asked = new Map<Policy, Asked[]>();

function keep(policy: Policy, call: Asked): void {
  asked.set(policy, [...(asked.get(policy) ?? []), call]);
}

function actions(
  made: readonly Policy[],
  syscall: string | number,
  args: (number | bigint)[] = [],
): string[] {
  return made.map((policy) => {
    const { action } = policy.evaluate({ syscall, args });
    const number = typeof syscall === 'number' ? syscall : (syscallNumber(syscall, policy.arch) ?? -1);
    if (policy.arch === nativeArch) keep(policy, { number, args, answer: action });
    return action;
  });
}

const violations = ['violation', 'violation', 'violation', 'violation'];

test('another architecture, and the x32 interface', () => {
  for (const arch of arches) {
    for (const policy of policies(arch)) {
      for (const foreign of [0x40000003, 0, 0xffffffff, arch === 'x86-64' ? 0xc00000b7 : 0xc000003e]) {
        for (const syscall of [0, 1, 60, 0x40000000]) {
          const { action, rule } = policy.evaluate({ syscall, arch: foreign });
          assert.is(action, 'violation');
          assert.is(rule.by, 'preamble');
        }
      }
    }
  }
  for (const number of [0x40000000, 0x40000001, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(actions(policies('x86-64'), number), violations);
  }
});

test('a negative number, and numbers that are not syscalls', () => {
  for (const number of [0x3fffffff, 1000, 511, 548]) {
    assert.equal(
      actions(policies('x86-64'), number),
      ['violation', 'allow', 'violation', 'notify'],
      String(number),
    );
  }
  // The numbers of x32 also count without their bit: 520 is its execve, 521 its ptrace.
  for (const number of [-1, 512, 520, 521, 547]) {
    assert.equal(actions(policies('x86-64'), number), violations, String(number));
    assert.throws(() => new PolicyBuilder({ arch: 'x86-64' }).allowSyscall(number), /not a syscall number/);
  }
});

test('the magic syscall', () => {
  for (const arch of arches) {
    for (const policy of policies(arch)) {
      const say = (argument: number) =>
        policy.evaluate({ syscall: Handshake.MAGIC_SYSCALL, args: [argument] });
      const detected = say(Handshake.MAGIC_ARG_DETECT);
      assert.is(detected.action === 'errno' && detected.errno, Handshake.MAGIC_SANDWIRE_ERRNO);
      const other = say(0);
      assert.is(other.action === 'errno' && other.errno, Handshake.MAGIC_ERRNO);
    }
  }
});

test('the launch', () => {
  const launch = [3, 0, 0, 0, 0x1000, Handshake.EXEC_MAGIC];
  for (const arch of arches) {
    assert.equal(actions(policies(arch), 'close', [WireFd.RENDEZVOUS_FD]), [
      'allow',
      'allow',
      'allow',
      'allow',
    ]);
    assert.equal(actions(policies(arch), 'close', [3]), ['violation', 'allow', 'allow', 'notify']);
    assert.equal(actions(policies(arch), 'execveat', launch), ['launch', 'launch', 'launch', 'launch']);
    const close = [3, 3, 0, 0, 0, Handshake.CLOSE_MAGIC];
    assert.equal(actions(policies(arch), 'close_range', close), ['launch', 'launch', 'launch', 'launch']);
    assert.equal(actions(policies(arch), 'close_range', [3, 3]), [
      'violation',
      'allow',
      'violation',
      'notify',
    ]);
    for (const other of [
      [3, 0, 0, 0, 0x1000, 0],
      [3, 0, 0, 0, 0, Handshake.EXEC_MAGIC],
    ]) {
      assert.equal(actions(policies(arch), 'execveat', other), ['violation', 'allow', 'allow', 'notify']);
    }
  }
});

test('what is guarded is a violation, or allowed after its token', () => {
  for (const arch of arches) {
    for (const [token, names] of Object.entries(guardedSyscalls)) {
      for (const name of names) {
        const number = syscallNumber(name, arch);
        if (number === undefined || name === 'clone3') continue;
        assert.equal(actions(policies(arch), name), violations, name);
        const allowed = actions(policies(arch, token as DangerousToken), name);
        assert.equal(allowed, ['violation', 'allow', 'violation', 'notify'], name);
        for (const refused of [
          () => new PolicyBuilder({ arch }).allowSyscall(name),
          () => new PolicyBuilder({ arch }).allowSyscall(number),
          () => new PolicyBuilder({ arch }).syscall(name, 'notify'),
          () => new PolicyBuilder({ arch }).syscall(name, (arg) => arg(0).u32.eq(1)),
        ]) {
          assert.throws(refused, (error: unknown) => {
            return error instanceof PolicyError && error.message.includes(`allow("${token}")`);
          });
        }
        const named = new PolicyBuilder({ arch })
          .allow(token as DangerousToken)
          .allowSyscall(name)
          .build();
        assert.is(named.evaluate({ syscall: name }).action, 'allow');
        const blocked = new PolicyBuilder({ arch }).blockSyscallWithErrno(name, 'EPERM').build();
        assert.is(blocked.evaluate({ syscall: name }).action, 'errno');
      }
    }
  }
});

test('clone3 fails with ENOSYS, so that programs use clone', () => {
  for (const arch of arches) {
    assert.equal(actions(policies(arch), 'clone3'), ['errno', 'errno', 'errno', 'errno']);
    assert.equal(actions(policies(arch, 'allowNewNamespaces'), 'clone3'), [
      'errno',
      'errno',
      'errno',
      'errno',
    ]);
    assert.throws(() => new PolicyBuilder({ arch }).allowSyscall('clone3'), /allowNewNamespaces/);
  }
});

test("a child that is not its maker's own is refused whatever the tokens", () => {
  const cloneParent = 0x8000;
  for (const arch of arches) {
    for (const flags of [cloneParent, cloneParent | 17, cloneParent | 0x10f00, 0x100000000n | 0x8011n]) {
      assert.equal(actions(policies(arch), 'clone', [flags]), violations);
      assert.equal(actions(policies(arch, 'allowNewNamespaces'), 'clone', [flags]), violations);
    }
    assert.equal(actions(policies(arch), 'clone', [0x7f00 | 17]), ['violation', 'allow', 'allow', 'notify']);
    const asked = new PolicyBuilder({ arch }).allowSyscall('clone').build();
    assert.is(asked.evaluate({ syscall: 'clone', args: [cloneParent | 17] }).action, 'violation');
  }
});

test('calls that would affect the host beyond the sandbox are refused whatever the tokens', () => {
  // F_SETLEASE, F_NOTIFY, F_SETDELEG.
  const ofFiles = [1024, 1026, 1040];
  // TIOCEXCL, TIOCNXCL, TIOCSETD, TCXONC, TIOCCONS, TIOCVHANGUP, TIOCSLCKTRMIOS.
  const ofTerminals = [0x540c, 0x540d, 0x5423, 0x540a, 0x541d, 0x5437, 0x5457];
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch }).allowSyscalls(['fcntl', 'ioctl', 'socket']);
    const made = [
      builder().build(),
      builder().allow('allowTerminalInjection', 'allowTerminalSettings').build(),
    ];
    made.push(new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls').build());
    for (const high of [0n, 0xdeadbeefn << 32n]) {
      for (const command of ofFiles) {
        for (const action of actions(made, 'fcntl', [3, BigInt(command) | high]))
          assert.is(action, 'violation', String(command));
      }
      for (const request of ofTerminals) {
        for (const action of actions(made, 'ioctl', [0, BigInt(request) | high]))
          assert.is(action, 'violation', String(request));
      }
    }
    // F_GETFD, F_SETLK; F_GETLEASE asks.
    for (const command of [1, 6, 1025]) {
      for (const action of actions(made, 'fcntl', [3, command])) assert.is(action, 'allow');
    }
    // TIOCNOTTY gives the own terminal up; TIOCGETD, TIOCGEXCL and TIOCGSID only ask; TCSBRK waits until all is written.
    for (const request of [0x5422, 0x5424, 0x80045440, 0x5429, 0x5409]) {
      for (const action of actions(made, 'ioctl', [0, request])) assert.is(action, 'allow');
    }
  }
});

test('the limit of core files stays as it is, and changing it reports success', () => {
  const [core, files, high] = [4, 7, 0xdeadbeefn << 32n];
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch });
    const made = [
      ...policies(arch),
      builder().allowSetRlimit().build(),
      builder().allowSetRlimit().syscall('prlimit64', 'allow', { override: true }).build(),
    ];
    const answer = (syscall: string, args: (number | bigint)[], errno: number | undefined) => {
      actions(made, syscall, args);
      for (const policy of made) {
        const decided = policy.evaluate({ syscall, args });
        assert.is(decided.action === 'errno' ? decided.errno : undefined, errno, `${syscall}(${args})`);
      }
    };
    for (const resource of [core, BigInt(core) | high]) {
      answer('setrlimit', [resource, 0x1000], 0);
      answer('setrlimit', [resource, 0], 0);
      for (const given of [0x1000n, 0x100000000n]) {
        for (const pid of [0, 5, -1]) {
          answer('prlimit64', [pid, resource, given, 0], 0);
          for (const old of [0x2000n, 0x100000000n]) answer('prlimit64', [pid, resource, given, old], 1);
        }
      }
      answer('prlimit64', [0, resource, 0, 0x2000], undefined);
    }
    answer('setrlimit', [files, 0x1000], undefined);
    answer('prlimit64', [0, files, 0x1000, 0x2000], undefined);
    const narrow = [builder().allowSetRlimit().build()];
    assert.equal(actions(narrow, 'setrlimit', [files]), ['allow']);
    assert.equal(actions(narrow, 'prlimit64', [0, files, 0x1000, 0]), ['allow']);
    assert.equal(actions(narrow, 'prlimit64', [5, files, 0x1000, 0]), ['violation']);
  }
});

test('socket families without network namespaces are refused, unless the network is the host’s', () => {
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls');
    const without = builder().build();
    const withNetwork = builder().allowUnrestrictedNetworking().build();
    for (const family of [40, 42]) {
      const evaluated = without.evaluate({ syscall: 'socket', args: [family, 1] });
      assert.is(evaluated.action === 'errno' && evaluated.errnoName, 'EAFNOSUPPORT');
      assert.equal(actions([without, withNetwork], 'socket', [family, 1]), ['errno', 'allow']);
    }
    assert.equal(actions([without, withNetwork], 'socket', [1, 1]), ['allow', 'allow']);
  }
});

/**
 * FS_IOC_SETFLAGS, SETVERSION, FSSETXATTR, ENABLE_VERITY, SET_ENCRYPTION_POLICY, EXT4_IOC_SETVERSION and MIGRATE,
 * FAT_IOCTL_SET_ATTRIBUTES; of btrfs SUBVOL_CREATE, SNAP_CREATE_V2, DEFRAG, INO_LOOKUP_USER.
 */
const changingRequests = [
  ...[0x40086602, 0x40087602, 0x401c5820, 0x40806685, 0x800c6613, 0x40086604, 0x6609, 0x40047211],
  ...[0x5000940e, 0x50009417, 0x50009402, 0xd000943e],
];
/** FS_IOC_GETFLAGS, GETVERSION, FSGETXATTR, FIEMAP; FICLONE, FICLONERANGE, FIDEDUPERANGE; TCGETS. */
const harmlessRequests = [
  ...[0x80086601, 0x80087601, 0x801c581f, 0xc020660b, 0x40049409, 0x4020940d, 0xc0189436, 0x5401],
];

test('under Landlock alone, calls that Landlock does not govern are refused', () => {
  for (const arch of arches) {
    const builder = () =>
      new PolicyBuilder({ arch })
        .allowChmod()
        .allowChown()
        .allowUtime()
        .allowSyscalls(['socket', 'socketpair']);
    const [mounted, alone] = [builder().build(), builder().enableLandlock().build()];
    const waived = builder().enableLandlock().allow('allowPathsOutsideMounts').build();
    const read = Policy.fromJSON(JSON.stringify(alone));
    const refused = ['allow', 'errno', 'allow', 'errno'];
    const all = [mounted, alone, waived, read];
    for (const name of ['fchmodat', 'fchmod', 'fchown', 'fchownat', 'utimensat']) {
      assert.equal(actions(all, name, [3]), refused, name);
    }
    assert.equal(actions(all, 'socket', [1, 1]), refused);
    assert.equal(actions(all, 'socket', [2, 1]), ['allow', 'allow', 'allow', 'allow']);
    for (const type of [2, 3, 0x80002, 0x803]) assert.equal(actions(all, 'socketpair', [1, type]), refused);
    for (const type of [1, 5, 0x80001]) {
      assert.equal(actions(all, 'socketpair', [1, type]), ['allow', 'allow', 'allow', 'allow']);
    }
    const files = () =>
      new PolicyBuilder({ arch }).allowSyscalls(['openat', 'openat2', 'inotify_add_watch', 'ioctl']);
    const opening = [files().build(), files().enableLandlock().build()];
    opening.push(files().enableLandlock().allow('allowPathsOutsideMounts').build());
    for (const flags of [3, 0x80003, 0x10003]) {
      assert.equal(actions(opening, 'openat', [-100, 0, flags]), ['allow', 'errno', 'allow']);
    }
    for (const flags of [0, 1, 2, 0x80002, 0x200000]) {
      assert.equal(actions(opening, 'openat', [-100, 0, flags]), ['allow', 'allow', 'allow']);
    }
    for (const name of ['openat2', 'inotify_add_watch']) {
      assert.equal(actions(opening, name), ['allow', 'errno', 'allow'], name);
    }
    if (arch === 'x86-64') {
      const open = (extend: (builder: PolicyBuilder) => PolicyBuilder) =>
        extend(new PolicyBuilder({ arch }).allowSyscall('open')).build();
      const both = [open((builder) => builder), open((builder) => builder.enableLandlock())];
      for (const flags of [3, 0o2003]) assert.equal(actions(both, 'open', [0, flags]), ['allow', 'errno']);
      for (const flags of [0, 2]) assert.equal(actions(both, 'open', [0, flags]), ['allow', 'allow']);
    }
    for (const request of harmlessRequests) {
      assert.equal(actions(opening, 'ioctl', [3, request]), ['allow', 'allow', 'allow']);
    }
    for (const request of changingRequests) {
      const high = BigInt(request) | (0xdeadbeefn << 32n);
      assert.equal(actions(opening, 'ioctl', [3, high]), ['allow', 'errno', 'allow'], String(request));
      assert.equal(actions(opening, 'ioctl', [3, request]), ['allow', 'errno', 'allow'], String(request));
    }
    assert.match(alone.explain(), /Refused with an errno:[^:]*fchmodat EPERM/);
    assert.not.match(mounted.explain(), /EPERM/);
    const open = new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls').enableLandlock().build();
    assert.equal(actions([open], 'fsetxattr', [3]), ['errno']);
    assert.match(open.explain(), /fsetxattr EPERM/);
  }
});

const guardedArguments: readonly [string, DangerousToken, (number | bigint)[], (number | bigint)[]][] = [
  ...[0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000].map(
    (flag): [string, DangerousToken, (number | bigint)[], (number | bigint)[]] => [
      'clone',
      'allowNewNamespaces',
      [flag | 17],
      [0x10f00 | 17],
    ],
  ),
  ...[0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000].map(
    (flag): [string, DangerousToken, (number | bigint)[], (number | bigint)[]] => [
      'unshare',
      'allowNewNamespaces',
      [flag | 0x200],
      [0x200],
    ],
  ),
  ['seccomp', 'allowSeccompListener', [1, 8], [2, 0]],
  ['seccomp', 'allowSeccompListener', [1, 9], [0, 0]],
  ['ioctl', 'allowTerminalInjection', [0, 0x5412], [0, 0x5401]],
  ['ioctl', 'allowTerminalInjection', [0, 0x541c], [0, 0]],
];

test('guarded arguments, also with other bits in the half that the kernel ignores', () => {
  for (const arch of arches) {
    for (const [name, token, bad, good] of guardedArguments) {
      const high = bad.map((value) => BigInt(value) | (0xdeadbeefn << 32n));
      assert.equal(actions(policies(arch), name, bad), violations, `${name} ${bad}`);
      assert.equal(actions(policies(arch), name, high), violations, `${name} ${high}`);
      assert.equal(actions(policies(arch), name, good), ['violation', 'allow', 'allow', 'notify'], name);
      assert.equal(
        actions(policies(arch, token), name, bad),
        ['violation', 'allow', 'allow', 'notify'],
        name,
      );
      const overridden = new PolicyBuilder({ arch }).syscall(name, 'allow', { override: true }).build();
      assert.is(overridden.evaluate({ syscall: name, args: bad }).action, 'violation');
    }
  }
});

test('installing a filter of its own fails as in a kernel without filters, unless there is a token', () => {
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch }).allowSyscalls(['seccomp', 'prctl']);
    const without = builder().build();
    const waived = builder().allow('allowSeccompFilters').build();
    const asking = new PolicyBuilder({ arch }).defaultAction('traceAllSyscalls').build();
    for (const high of [0n, 0xdeadbeefn << 32n]) {
      const calls: readonly (readonly [string, readonly number[]])[] = [
        ['seccomp', [1, 0]],
        ['seccomp', [1, 1]],
        ['prctl', [22, 2]],
      ];
      for (const [name, args] of calls) {
        const given = args.map((arg) => BigInt(arg) | high);
        assert.equal(actions([without, waived, asking], name, given), ['errno', 'allow', 'errno'], name);
        const evaluated = without.evaluate({ syscall: name, args: given });
        assert.is(evaluated.action === 'errno' && evaluated.errnoName, 'EINVAL');
      }
    }
    // Strict mode, and calls that only ask.
    for (const args of [
      [0, 0],
      [2, 0],
      [3, 0],
    ]) {
      assert.equal(actions([without, waived], 'seccomp', args), ['allow', 'allow']);
    }
    for (const args of [
      [22, 1],
      [21, 2],
      [38, 1],
    ]) {
      assert.equal(actions([without, waived], 'prctl', args), ['allow', 'allow']);
    }
    // A listener has its own token, different from that of filters.
    const listening = builder().allow('allowSeccompListener').build();
    assert.equal(actions([waived, listening], 'seccomp', [1, 8]), ['violation', 'allow']);
    assert.equal(actions([waived, listening], 'seccomp', [1, 0]), ['allow', 'errno']);
  }
});

test('taking a terminal as controlling terminal is refused, unless there is a token', () => {
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch }).allowSyscall('ioctl');
    const made = [builder().build(), builder().allow('allowTerminalInjection').build()];
    assert.equal(actions(made, 'ioctl', [0, 0x540e]), ['errno', 'allow']);
    assert.equal(actions(made, 'ioctl', [0, 0x540en | (1n << 32n)]), ['errno', 'allow']);
  }
});

/**
 * TCSETS, W, F; TCSETA, W, F; TCSETS2, W2, F2; TIOCSSOFTCAR, TIOCSWINSZ, TCFLSH, TIOCMBIS, TIOCMBIC, TIOCMSET, TIOCSBRK,
 * TIOCCBRK, TIOCSSERIAL, TIOCSRS485, TIOCSISO7816.
 */
const settings = [
  ...[0x5402, 0x5403, 0x5404, 0x5406, 0x5407, 0x5408, 0x402c542b, 0x402c542c, 0x402c542d],
  ...[0x541a, 0x5414, 0x540b, 0x5416, 0x5417, 0x5418, 0x5427, 0x5428, 0x541f, 0x542f, 0xc0285443],
];

test('the settings of a terminal stay as they are, unless there is a token', () => {
  for (const arch of arches) {
    const builder = () => new PolicyBuilder({ arch }).allowSyscall('ioctl');
    const node = () => new PolicyBuilder({ arch }).allowNode();
    const made = [builder().build(), builder().allow('allowTerminalSettings').build()];
    made.push(new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls').build(), node().build());
    for (const request of settings) {
      for (const high of [0n, 0xdeadbeefn << 32n]) {
        const answers = actions(made, 'ioctl', [0, BigInt(request) | high]);
        assert.equal(answers, ['errno', 'allow', 'errno', 'errno'], String(request));
      }
      const evaluated = made[0]?.evaluate({ syscall: 'ioctl', args: [0, request] });
      assert.is(evaluated?.action === 'errno' && evaluated.errnoName, 'EPERM');
    }
    // TCGETS, TCGETA, TCGETS2, TIOCGWINSZ, TIOCMGET, TIOCGSERIAL, TIOCOUTQ, FIONREAD, and numbers between.
    for (const request of [
      0x5401, 0x5405, 0x802c542a, 0x5413, 0x5415, 0x541e, 0x5411, 0x541b, 0, 0x5400, 0x5460,
    ]) {
      assert.equal(actions(made, 'ioctl', [0, request]).slice(0, 3), ['allow', 'allow', 'allow']);
    }
    // setRawMode() of a Node sandboxee.
    const raw = node().allow('allowTerminalSettings').build();
    assert.equal(actions([raw], 'ioctl', [0, 0x5402]), ['allow']);
  }
});

test('what tells of the host beyond what is shown is allowed by name only', () => {
  const errnos = { inotify_add_watch: 'EACCES', statmount: 'ENOSYS', listmount: 'ENOSYS', listns: 'ENOSYS' };
  for (const arch of arches) {
    for (const [name, errno] of Object.entries(errnos)) {
      const all = () => new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls');
      assert.equal(actions(policies(arch), name), ['violation', 'errno', 'violation', 'notify'], name);
      const evaluated = all().build().evaluate({ syscall: name });
      assert.is(evaluated.action === 'errno' && evaluated.errnoName, errno);
      const named = [
        all().allowSyscall(name).build(),
        new PolicyBuilder({ arch }).allowSyscall(name).build(),
      ];
      assert.equal(actions(named, name), ['allow', 'allow'], name);
      assert.is(
        all().blockSyscallWithErrno(name, 'EPERM').build().evaluate({ syscall: name }).rule.by,
        'blockSyscallWithErrno',
      );
    }
    const watching = (builder: PolicyBuilder) =>
      ['inotify_init1', 'inotify_add_watch', 'inotify_rm_watch'].map(
        (name) => builder.build().evaluate({ syscall: name }).action,
      );
    assert.equal(watching(new PolicyBuilder({ arch }).allowNode()), ['errno', 'violation', 'violation']);
    assert.equal(watching(new PolicyBuilder({ arch }).allowNode().allowInotify()), [
      'allow',
      'allow',
      'allow',
    ]);
    const all = new PolicyBuilder({ arch }).defaultAction('allowAllSyscalls');
    assert.equal(watching(all), ['allow', 'errno', 'allow']);
    assert.equal(watching(all.allowInotify()), ['allow', 'allow', 'allow']);
  }
});

test('a token that does not exist', () => {
  assert.throws(
    () => new PolicyBuilder().allow('allowEverything' as DangerousToken),
    /there is no token .*, only allowPtrace, /,
  );
  assert.throws(() => new PolicyBuilder().allow('toString' as DangerousToken), /there is no token/);
  assert.throws(() => new PolicyBuilder().defaultAction('allow' as never), /token/);
});

test('the kernel answers the same', () => {
  assert.ok(asked.size > 0);
  for (const [policy, calls] of asked) {
    const answers = kernelAnswers(policy, calls).map((answer) => answer.replace(/^errno .*/, 'errno'));
    calls.forEach(({ number, args, answer }, index) => {
      assert.is(answers[index], answer, `${number}(${args})`);
    });
  }
});

test('by int 0x80 every call is a violation, whatever its number means in either interface', () => {
  const reason = whyNo32BitCalls();
  if (reason !== undefined) return skip('by int 0x80', reason);
  // exit, write, getpid, execve, mmap, clone, and the numbers that are allowed in the 64-bit interface.
  const calls = [1, 4, 20, 11, 90, 120, 0, 3, 60, 231, 322, 435, Handshake.MAGIC_SYSCALL].map((number) => ({
    number,
    args: [Handshake.MAGIC_ARG_DETECT, 0, 0, 0, 0x1000],
    is32Bit: true,
  }));
  for (const policy of policies('x86-64')) {
    for (const answer of kernelAnswers(policy, calls)) assert.is(answer, 'violation');
  }
});

test.run();
