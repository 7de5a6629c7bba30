// A policy as a file: what was written is read back to the same policy, and nothing else is accepted.
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ALLOW,
  ARG,
  ARG_32,
  allOf,
  anyOf,
  ERRNO,
  JEQ,
  JUMP,
  KILL,
  LABEL,
  not,
  Policy,
  PolicyBuilder,
  PolicyError,
} from '../../host/index.js';
import { checkJsonText } from '../../host/policy/json/text.js';

const test = suite('policy as JSON');

function rich(arch: 'x86-64' | 'aarch64' = 'x86-64'): PolicyBuilder {
  return new PolicyBuilder({ arch })
    .allow('allowKeyrings', 'allowWriteExecutable', 'allowSpeculation')
    .allowSyscall('keyctl')
    .allowSyscall(500)
    .syscall('socket', (arg) => arg(0).in(1, 2))
    .syscall('connect', (arg) => [arg(0).mask(0xff).between(3, 9), arg(2).ne(16)], 'notify')
    .syscall('lseek', (arg) => arg(1).notIn(0, -1), { trap: 5 })
    .syscall('kill', (arg) => arg(1).hasAny(0x81), 'kill')
    .blockSyscallWithErrno('umask', 'EPERM')
    .blockSyscallWithErrno('getpgid', 4000)
    .addPolicyOnSyscalls(
      ['write', 'writev'],
      [ARG(0), JEQ(1, JUMP('on')), ERRNO('EBADF'), LABEL('on'), ALLOW],
    )
    .addPolicyOnMmap([ARG_32(2), KILL])
    .allowDynamicStartup()
    .allowSystemMalloc()
    .allowSafeBpf()
    .overridableBlockSyscallWithErrno('sethostname', 'EPERM')
    .addTmpfs('/tmp', 64 << 20)
    .addDirectoryAt('/usr/share', '/data', false)
    .addFile('/etc/hosts')
    .addDirectory('/proc')
    .addDirectory('/sys')
    .setHostname('box')
    .setRootWritable()
    .collectStacktracesOnExit(true);
}

const copyOf = (policy: Policy) => Policy.fromJSON(JSON.stringify(policy));

test('there and back', () => {
  const policies = [
    new PolicyBuilder().build(),
    rich().build(),
    rich('aarch64').build(),
    new PolicyBuilder().allowUnrestrictedNetworking().defaultAction('allowAllSyscalls').build(),
    new PolicyBuilder().useForkServerSharedNetNs().defaultAction('traceAllSyscalls').build(),
    new PolicyBuilder().allowNode().addLibrariesForBinary(process.execPath).enableLandlock().build(),
    new PolicyBuilder().allowTcMalloc().allowLlvmSanitizers().build(),
  ];
  for (const policy of policies) {
    const copy = copyOf(policy);
    assert.equal(copy.program, policy.program);
    assert.equal(copy.toJSON(), policy.toJSON());
    assert.equal(Policy.fromJSON(policy.toJSON()).toJSON(), policy.toJSON());
    assert.equal(copy.mounts, policy.mounts);
    assert.is(copy.explain(), policy.explain());
    for (const field of [
      ...(['arch', 'hostname', 'networking', 'rootWritable', 'landlock', 'landlockFence'] as const),
      ...(['allowSpeculation', 'notifiedSyscalls', 'notifiesByDefault', 'stackTraces'] as const),
    ]) {
      assert.equal(copy[field], policy[field], field);
    }
  }
});

test('a file that can be read: names beside numbers, tokens in the open', () => {
  const data = rich().build().toJSON();
  assert.is(data.sandwirePolicy, 1);
  assert.equal(data.tokens, ['allowKeyrings', 'allowSpeculation', 'allowWriteExecutable']);
  assert.equal(data.syscalls['socket'], [
    { by: 'syscall', do: 'allow', when: { arg: 0, bits: 32, in: ['0x1 AF_UNIX', '0x2 AF_INET'] } },
  ]);
  assert.equal(data.syscalls['umask'], [{ by: 'blockSyscallWithErrno', do: { errno: 'EPERM' } }]);
  assert.equal(data.syscalls['500'], [{ by: 'allowSyscall', do: 'allow' }]);
  const [rule] = data.syscalls['write'] ?? [];
  assert.ok(rule !== undefined && 'bpf' in rule);
  assert.is(rule.bpf[0], '20 0 0 10: A := arg 0 low');
});

type Data = { [field: string]: unknown };

/** The data of a policy with one value changed; undefined removes it. */
function changed(place: readonly string[], value?: unknown): Data {
  const data = JSON.parse(JSON.stringify(rich().build())) as Data;
  const last = place.at(-1) ?? '';
  const holder = place.slice(0, -1).reduce((at, field) => at[field] as Data, data);
  if (value === undefined) delete holder[last];
  else holder[last] = value;
  return data;
}

test('what is not a policy is refused, with the place', () => {
  const refused: [unknown, RegExp][] = [
    ['', /this is not JSON/],
    ['{', /this is not JSON/],
    [undefined, /this is not a policy/],
    [null, /this is not a policy/],
    ['[]', /this is not a policy/],
    [{}, /"sandwirePolicy" is missing/],
    [{ sandwirePolicy: 2 }, /version 2 is not known; this sandwire reads 1/],
    [{ sandwirePolicy: 1 }, /"arch", "tokens", .* is missing/],
    [changed(['extra'], 1), /there is no field "extra"/],
    [changed(['mounts']), /"mounts" is missing/],
    [changed(['arch'], 'riscv'), /arch: one of "x86-64", "aarch64" is needed/],
    [changed(['tokens'], ['allowEverything']), /tokens\[0\]: there is no token/],
    [changed(['tokens'], ['toString']), /there is no token/],
    [changed(['tokens'], []), /syscalls\.keyctl\[0\]: .*allow\("allowKeyrings"\)/],
    [changed(['networking'], 'unrestricted'), /networking: "unrestricted" and the token/],
    [
      changed(['tokens'], ['allowKeyrings', 'allowUnrestrictedNetworking']),
      /networking: "unrestricted" and the token/,
    ],
    [changed(['hostname'], '-'), /hostname: "-" is not a host name/],
    [changed(['rootWritable'], 1), /rootWritable: true or false/],
    [changed(['stackTraces', 'onSunday'], true), /stackTraces: there is no field "onSunday"/],
    [changed(['defaultAction'], 'allow'), /defaultAction: one of/],
    [changed(['syscalls'], []), /syscalls: an object is needed/],
    [changed(['syscalls', 'no_such'], []), /syscalls\.no_such: x86-64 has no syscall/],
    [changed(['syscalls', '0'], []), /0 is not the number of a syscall without a name/],
    [changed(['syscalls', '1073741824'], []), /1073741824/],
    [changed(['syscalls', '0500'], []), /0500/],
  ];
  for (const [json, pattern] of refused) {
    assert.throws(
      () => Policy.fromJSON(json),
      (error: unknown) =>
        error instanceof PolicyError &&
        error.message.startsWith('Policy.fromJSON: ') &&
        pattern.test(error.message),
      String(pattern),
    );
  }
});

function withRule(rule: unknown, syscall = 'getpid'): unknown {
  return changed(['syscalls', syscall], Array.isArray(rule) ? rule : [rule]);
}

test('rules that are untrue, contradict each other or allow guarded syscalls are refused', () => {
  const by = 'syscall';
  const when = { arg: 0, bits: 32, op: '==', value: '0x1' };
  let deep: unknown = when;
  for (let depth = 0; depth < 100; depth++) deep = { not: deep };
  const refused: [unknown, RegExp][] = [
    [withRule({ by, do: 'launch' }), /do: one of "allow", "violation", "notify"/],
    [withRule({ by, do: 'kill' }), /do: one of/],
    [withRule({ by, do: { errno: 'ENOTHING' } }), /do\.errno: "ENOTHING" is not an errno/],
    [withRule({ by, do: { errno: 4096 } }), /do\.errno: a whole number from 0 to 4095/],
    [withRule({ by, do: { trap: -1 } }), /do\.trap: a whole number/],
    [withRule({ by, do: 'allow', unless: when }), /there is no field "unless"/],
    [withRule({ do: 'allow' }), /"by" is missing/],
    [withRule({ by: 'preamble', do: 'allow' }), /"preamble" is not a method/],
    [withRule({ by: 'defaultAction', do: 'allow' }), /is not a method/],
    [withRule({ by: 'a\nb', do: 'allow' }), /is not a method/],
    [
      withRule([
        { by, do: 'allow' },
        { by, do: 'violation' },
      ]),
      /contradicts/,
    ],
    [withRule({ by, do: 'allow' }, 'ptrace'), /ptrace can only be allowed after allow\("allowPtrace"\)/],
    [withRule({ by, do: 'notify', when }, 'bpf'), /allow\("allowBpf"\)/],
    [withRule({ by, do: 'allow', when: { ...when, value: '1' } }), /value: a number in hexadecimal/],
    [withRule({ by, do: 'allow', when: { ...when, value: 1 } }), /value: a text is needed/],
    [withRule({ by, do: 'allow', when: { ...when, value: '0x100000000' } }), /does not fit into 32 bits/],
    [withRule({ by, do: 'allow', when: { ...when, value: '0xa AF_UNIX' } }, 'socket'), /0xa is not AF_UNIX/],
    [withRule({ by, do: 'allow', when: { ...when, arg: 6 } }), /arg: a whole number from 0 to 5/],
    [withRule({ by, do: 'allow', when: { ...when, bits: 16 } }), /bits: one of 32, 64/],
    [withRule({ by, do: 'allow', when: { ...when, op: '=' } }), /op: one of/],
    [withRule({ by, do: 'allow', when: { ...when, in: ['0x1'] } }), /one of "op" with "value"/],
    [withRule({ by, do: 'allow', when: { arg: 0, bits: 32, in: [] } }), /at least one value/],
    [withRule({ by, do: 'allow', when: { arg: 0, bits: 32, mask: '0x1', anyBit: '0x1' } }), /without "mask"/],
    [withRule({ by, do: 'allow', when: deep }), /nested at most 50 deep/],
    [withRule({ by, bpf: [] }), /bpf: there is no instruction/],
    [
      withRule({ by, bpf: ['6 0 0 7fff0000: KILL'] }),
      /the instruction and its text differ: it is "6 0 0 7fff0000: ALLOW"/,
    ],
    [withRule({ by, bpf: ['6 0 0 7fff0000'] }), /an instruction is needed/],
    [withRule({ by, bpf: ['20 0 0 3: A := data[0x3] (misaligned load)'] }), /misaligned read/],
    [withRule({ by, bpf: ['5 0 0 9: jump to 10', '6 0 0 0: KILL'] }), /jumps past the end/],
    [withRule({ by, bpf: ['6 0 0 7fff0000: ALLOW'] }, 'ptrace'), /allowPtrace/],
    [withRule({ by, bpf: ['16 0 0 0: return A'] }, 'ptrace'), /a policy cannot return A/],
  ];
  for (const [json, pattern] of refused) {
    assert.throws(
      () => Policy.fromJSON(json),
      (error: unknown) => {
        return error instanceof PolicyError && pattern.test(error.message);
      },
      String(pattern),
    );
  }
});

test('the reader accepts what the builder accepts, up to the same limits', () => {
  const nested = (depth: number) =>
    new PolicyBuilder({ arch: 'x86-64' }).syscall('openat', (arg) => {
      let made = arg(0).eq(1);
      for (let level = 1; level < depth; level++) {
        made = level % 3 === 0 ? not(made) : level % 3 === 1 ? allOf(made, arg(1).eq(level)) : anyOf(made);
      }
      return made;
    });
  const wide = (rules: number, comparisons: number) => {
    const builder = new PolicyBuilder({ arch: 'x86-64' });
    for (let index = 0; index < rules; index++) {
      builder.syscall('ioctl', (arg) =>
        arg(1).in(...Array.from({ length: comparisons }, (_, at) => index + at * 7)),
      );
    }
    return builder;
  };
  const long = (length: number, jt = 0) =>
    new PolicyBuilder({ arch: 'x86-64' }).addPolicyOnSyscall('umask', [
      { code: 0x15, jt, jf: 0, k: 1 },
      ...Array.from({ length: length - 1 }, () => KILL),
    ]);
  const taken = [
    nested(1),
    nested(28),
    nested(50),
    wide(1001, 1),
    wide(3900, 1),
    wide(1, 2000),
    long(4096, 255),
  ];
  for (const builder of taken) {
    const policy = builder.build();
    assert.equal(copyOf(policy).toJSON(), policy.toJSON());
  }
  for (const refused of [
    () => nested(51),
    () => wide(4097, 1),
    () => wide(1, 2001),
    () => long(4097),
    () => long(300, 256),
  ]) {
    assert.throws(refused, (error: unknown) => error instanceof PolicyError);
  }
  // The same, written by hand.
  const when = { arg: 0, bits: 32, op: '==', value: '0x1' };
  let deep: unknown = when;
  for (let level = 1; level < 51; level++) deep = { all: [deep] };
  const rule = { by: 'syscall', do: 'allow', when };
  const cases: [unknown, RegExp][] = [
    [{ ...rule, when: deep }, /nested at most 50 deep/],
    [{ ...rule, when: { all: [] } }, /when: a list of conditions needs at least one/],
    [{ ...rule, when: { not: { any: [] } } }, /when: a list of conditions needs at least one/],
    [{ ...rule, when: { ...when, mask: '0x2' } }, /when: arg\(0\) & 2 is never 1/],
    [
      Array.from({ length: 4097 }, (_, at) => ({
        ...rule,
        when: { ...when, value: `0x${at.toString(16)}` },
      })),
      /a list of 4097 is too long/,
    ],
  ];
  for (const [hand, pattern] of cases) assert.throws(() => Policy.fromJSON(withRule(hand)), pattern);
});

test('a text has no name twice, and no letters in disguise', () => {
  const text = JSON.stringify(rich().build(), null, 2);
  const twice: [string, string, RegExp][] = [
    [
      '"syscalls": {',
      '"syscalls": {"execve": [], "execve": [],',
      /line \d+: "execve" exists twice in one object/,
    ],
    ['"syscalls": {', '"syscalls": {"execve": [], "\\u0065xecve": [],', /letters are written as/],
    ['"arch"', '"arch": "aarch64", "arch"', /"arch" exists twice/],
    ['"do": "allow"', '"do": "violation", "do": "allow"', /"do" exists twice/],
    ['"mounts": [', '"mounts": [{"file": "/a", "at": "/b", "at": "/c"},', /"at" exists twice/],
    ['"onExit"', '"onExit": false, "onExit"', /"onExit" exists twice/],
    ['"allowKeyrings"', '"allow\\u004beyrings"', /letters are written as/],
    ['{', '{"__proto__": 1, "__proto__": 2,', /"__proto__" exists twice/],
  ];
  for (const [was, made, pattern] of twice) {
    const changed = text.replace(was, () => made);
    assert.not.equal(changed, text);
    assert.throws(() => Policy.fromJSON(changed), pattern);
  }
  // Names in different objects, and texts that look like names, are not duplicates.
  const odd = new PolicyBuilder().setHostname('box').build().toJSON();
  const mounts = [
    { file: '/etc/hosts', at: '/a"b\\\\","at":"' },
    { file: '/etc/hosts', at: '/\\u0041\n{[' },
  ];
  assert.is(Policy.fromJSON(JSON.stringify({ ...odd, mounts })).mounts.length, 2);
  assert.throws(() => Policy.fromJSON(Buffer.from(text)), /bytes were given/);
  assert.throws(() => Policy.fromJSON(new Uint8Array()), /bytes were given/);
});

test('exactly the duplicate names are found, in any JSON', () => {
  const name = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.constantFrom('a', '"', '\\', '{', ',', ':', '__proto__'),
  );
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(fc.tuple(name, fc.string()), { maxLength: 6 }), (value, pairs) => {
      checkJsonText(JSON.stringify(value));
      checkJsonText(JSON.stringify([value, { value }], null, 3));
      const written = pairs.map(([key, text]) => `${JSON.stringify(key)}: ${JSON.stringify(text)}`);
      const text = `[{"": [], "x": ${JSON.stringify(value)}}, {${written.join(', ')}}]`;
      const isTwice = new Set(pairs.map(([key]) => key)).size < pairs.length;
      if (isTwice) assert.throws(() => checkJsonText(text), /exists twice/);
      else checkJsonText(text);
    }),
  );
});

test('the origin of a rule could have made it', () => {
  const allow = { do: 'allow' };
  const when = { arg: 0, bits: 32, op: '==', value: '0x1' };
  const kill = { bpf: ['6 0 0 0: KILL'] };
  const lies: [object, string?][] = [
    [{ by: 'blockSyscallWithErrno', ...allow }],
    [{ by: 'blockSyscallsWithErrno', do: 'notify' }],
    [{ by: 'blockSyscallWithErrno', do: { errno: 1 }, when }],
    [{ by: 'allowRead', do: { errno: 1 } }],
    [{ by: 'allowSyscall', do: 'violation' }],
    [{ by: 'allowSyscall', ...allow, when }],
    [{ by: 'allowSyscall', ...kill }],
    [{ by: 'syscall', ...kill }],
    [{ by: 'addPolicyOnSyscall', ...allow }],
    [{ by: 'addPolicyOnMmap', ...kill }, 'getpid'],
    [{ by: 'overridableBlockSyscallWithErrno', do: { errno: 1 } }],
    [{ by: 'allowNothingAtAll', ...allow }],
    [{ by: 'setHostname', ...allow }],
    [{ by: 'constructor', ...allow }],
    [{ by: 'preamble', ...allow }],
    [{ by: 'arch', ...allow }],
  ];
  const pattern = /does not make such a rule|is not a method that makes such rules/;
  for (const [rule, syscall] of lies) {
    assert.throws(() => Policy.fromJSON(withRule(rule, syscall)), pattern, JSON.stringify(rule));
  }
  const overridable = (rule: object) => () => Policy.fromJSON(changed(['overridable', 'getpid'], [rule]));
  for (const rule of [
    { by: 'allowStaticStartup', ...allow },
    { by: 'syscall', ...allow },
    { by: 'overridablePolicyOnSyscalls', ...allow },
  ]) {
    assert.throws(overridable(rule), pattern, JSON.stringify(rule));
  }
  overridable({ by: 'overridablePolicyOnSyscalls', ...kill })();
  // Every preset may.
  for (const by of Object.keys(new PolicyBuilder()).filter((name) => name.startsWith('allow'))) {
    Policy.fromJSON(withRule({ by, ...allow, when }));
    overridable({ by, do: { errno: 1 } })();
  }
});

test('impossible mounts are refused', () => {
  const cases: [unknown, RegExp][] = [
    [{ file: 'etc' }, /mounts\[0\]\.file: .*an absolute path/],
    [{ file: '/etc/../x' }, /canonical/],
    [{ file: '/proc/self/environ' }, /belongs to a process/],
    [{ file: '/etc/hosts', at: '/' }, /root itself/],
    [{ file: '/etc/hosts', writable: 'yes' }, /writable: true or false/],
    [{ file: '/etc/hosts', executable: true }, /there is no field "executable"/],
    [{ tmpfs: '/tmp', sizeBytes: 0 }, /sizeBytes: a whole number from 1/],
    [{ symlink: '/a', target: '' }, /target: it is empty/],
    [{ device: '/dev/null' }, /one of file, directory/],
    [{ directory: '/proc', writable: true }, /always read-only/],
    [{ directory: '/sys', at: '/s', writable: true }, /always read-only/],
    [{ directory: '/proc' }, /a sandbox has its own: \{"proc": "\/proc"\}/],
    [{ directory: '/sys', at: '/s' }, /a sandbox has its own/],
    [{ directory: '/proc/1' }, /belongs to a process/],
    [{ directory: '/proc/sys', writable: true }, /always read-only/],
    [{ symlink: '/a', target: 'x/'.repeat(2200) }, /longer than a path can be/],
  ];
  for (const [mount, pattern] of cases) {
    assert.throws(() => Policy.fromJSON(changed(['mounts'], [mount])), pattern);
  }
  const twice = [
    { file: '/etc/hosts', at: '/a' },
    { tmpfs: '/a', sizeBytes: 1 },
  ];
  assert.throws(() => Policy.fromJSON(changed(['mounts'], twice)), /mounts\[1\]: .*\/a is taken/);
  // The longest chain of symlinks is resolved quickly.
  const far = Array.from({ length: 39 }, (_, index) => ({
    symlink: `/l${index}`,
    target: `l${index + 1}/`.repeat(800),
  }));
  assert.throws(
    () => Policy.fromJSON(changed(['mounts'], [...far, { tmpfs: '/l0/x', sizeBytes: 1 }])),
    /too many symlinks|too long/,
  );
  const many = Array.from({ length: 4000 }, (_, index) => ({ tmpfs: `/d/${index}/x`, sizeBytes: 1 }));
  assert.is(Policy.fromJSON(changed(['mounts'], many)).mounts.length, 4000);
  const tooMany = Array.from({ length: 4097 }, (_, index) => ({ tmpfs: `/e/${index}`, sizeBytes: 1 }));
  assert.throws(() => Policy.fromJSON(changed(['mounts'], tooMany)), /more than 4096 mounts/);
  const loop = [
    { symlink: '/a', target: '/b' },
    { symlink: '/b', target: '/a' },
    { file: '/etc/hosts', at: '/a/x' },
  ];
  assert.throws(() => Policy.fromJSON(changed(['mounts'], loop)), /too many symlinks/);
});

test('a file with any change is refused with a message or read as what it says', () => {
  const original = JSON.stringify(rich().build().toJSON());
  const junk = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('allow', '0x1', '__proto__', 'ptrace', [], {}, null, -1, 1e308, '\0'),
  );
  fc.assert(
    fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), junk, (path, value) => {
      const data = JSON.parse(original) as Data;
      const isData = (value: unknown): value is Data => typeof value === 'object' && value !== null;
      const keyIn = (holder: Data, step: number) => {
        const keys = Object.keys(holder);
        return keys[step % Math.max(1, keys.length)] ?? 'new';
      };
      let at = data;
      for (const step of path.slice(0, -1)) {
        const next = at[keyIn(at, step)];
        if (!isData(next)) break;
        at = next;
      }
      at[keyIn(at, path.at(-1) ?? 0)] = value;
      let policy: Policy;
      try {
        policy = Policy.fromJSON(data);
      } catch (error) {
        assert.instance(error, PolicyError);
        return;
      }
      assert.equal(Policy.fromJSON(policy.toJSON()).toJSON(), policy.toJSON());
      for (const syscall of ['ptrace', 'bpf', 'userfaultfd']) {
        assert.is.not(policy.evaluate({ syscall }).action, 'allow');
      }
    }),
    { numRuns: 400 },
  );
  assert.is(({} as Record<string, unknown>)['allow'], undefined, 'no prototype was changed');
});

test.run();
